//! Truth tables as plain integer arrays, for storage beside the tokens.
//!
//! Every array is i32, ragged axes are filled up with -1, and -1 is also "none". `example` is the first axis throughout.
//!
//! | array | axes |
//! |---|---|
//! | `tokens` | example, step |
//! | `condition` | example |
//! | `write_key_position`, `write_position`, `write_key`, `write_value`, `write_kind`, `write_copied_from`, `write_superseded_at`, `write_superseded_by`, `write_deleted_at`, `write_later_writes` | example, write |
//! | `question_position`, `question_key`, `question_gold`, `question_gold_write`, `question_asked_write`, `question_age` | example, question |
//! | `question_stale`, `question_stale_writes`, `question_rivals`, `question_foils` | example, question, listed |
//!
//! `condition` and `write_kind` hold indices of [`Condition::ALL`] and [`WriteKind::ALL`].

use super::{Condition, Example, Question, TaskError, Write, WriteKind};
use ndarray::{ArrayD, ArrayViewD, IxDyn};

/// One named array of a stored truth table.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelArray {
    /// Name, as in the table of this module.
    pub name: &'static str,
    /// Names of the axes.
    pub axes: &'static [&'static str],
    /// The numbers; -1 where there is none.
    pub data: ArrayD<i32>,
}

const EXAMPLE: &[&str] = &["example"];
const STEP: &[&str] = &["example", "step"];
const WRITE: &[&str] = &["example", "write"];
const QUESTION: &[&str] = &["example", "question"];
const LISTED: &[&str] = &["example", "question", "listed"];

type WriteColumn = (&'static str, fn(&Write) -> i32);
type QuestionColumn = (&'static str, fn(&Question) -> i32);
type ListColumn = (&'static str, fn(&Question) -> &[u32]);

fn place(position: Option<usize>) -> i32 {
    position.map_or(-1, |position| position as i32)
}

fn id(id: Option<u32>) -> i32 {
    id.map_or(-1, |id| id as i32)
}

const WRITE_COLUMNS: [WriteColumn; 10] = [
    ("write_key_position", |write| write.key_position as i32),
    ("write_position", |write| write.position as i32),
    ("write_key", |write| write.key as i32),
    ("write_value", |write| write.value as i32),
    ("write_kind", |write| write.kind as i32),
    ("write_copied_from", |write| id(write.copied_from)),
    ("write_superseded_at", |write| place(write.superseded_at)),
    ("write_superseded_by", |write| id(write.superseded_by)),
    ("write_deleted_at", |write| place(write.deleted_at)),
    ("write_later_writes", |write| write.later_writes as i32),
];

const QUESTION_COLUMNS: [QuestionColumn; 6] = [
    ("question_position", |question| question.position as i32),
    ("question_key", |question| question.key as i32),
    ("question_gold", |question| question.gold as i32),
    ("question_gold_write", |question| id(question.gold_write)),
    ("question_asked_write", |question| id(question.asked_write)),
    ("question_age", |question| place(question.age)),
];

const LIST_COLUMNS: [ListColumn; 4] = [
    ("question_stale", |question| &question.stale),
    ("question_stale_writes", |question| &question.stale_writes),
    ("question_rivals", |question| &question.rivals),
    ("question_foils", |question| &question.foils),
];

/// The arrays of `examples`, in the order of this module's table. No axis is empty: the shortest is 1.
pub fn to_arrays(examples: &[Example]) -> Vec<LabelArray> {
    let longest = |length: fn(&Example) -> usize| examples.iter().map(length).max().unwrap_or(0).max(1);
    let (steps, writes) = (longest(Example::len), longest(|example| example.writes.len()));
    let questions = longest(|example| example.questions.len());
    let filled = |shape: &[usize]| ArrayD::from_elem(IxDyn(shape), -1);
    let mut arrays = Vec::new();

    let mut tokens = filled(&[examples.len(), steps]);
    let mut condition = filled(&[examples.len()]);
    for (row, example) in examples.iter().enumerate() {
        condition[[row]] = example.condition as i32;
        for (step, &token) in example.tokens.iter().enumerate() {
            tokens[[row, step]] = token as i32;
        }
    }
    arrays.push(LabelArray { name: "tokens", axes: STEP, data: tokens });
    arrays.push(LabelArray { name: "condition", axes: EXAMPLE, data: condition });

    for (name, column) in WRITE_COLUMNS {
        let mut data = filled(&[examples.len(), writes]);
        for (row, example) in examples.iter().enumerate() {
            for (index, write) in example.writes.iter().enumerate() {
                data[[row, index]] = column(write);
            }
        }
        arrays.push(LabelArray { name, axes: WRITE, data });
    }
    for (name, column) in QUESTION_COLUMNS {
        let mut data = filled(&[examples.len(), questions]);
        for (row, example) in examples.iter().enumerate() {
            for (index, question) in example.questions.iter().enumerate() {
                data[[row, index]] = column(question);
            }
        }
        arrays.push(LabelArray { name, axes: QUESTION, data });
    }
    for (name, column) in LIST_COLUMNS {
        let listed = examples.iter().flat_map(|example| &example.questions).map(|question| column(question).len()).max().unwrap_or(0);
        let mut data = filled(&[examples.len(), questions, listed.max(1)]);
        for (row, example) in examples.iter().enumerate() {
            for (index, question) in example.questions.iter().enumerate() {
                for (item, &number) in column(question).iter().enumerate() {
                    data[[row, index, item]] = number as i32;
                }
            }
        }
        arrays.push(LabelArray { name, axes: LISTED, data });
    }
    arrays
}

/// The examples of stored arrays; `array` finds an array by name.
pub fn from_arrays<'a>(array: impl Fn(&str) -> Option<ArrayViewD<'a, i32>>) -> Result<Vec<Example>, TaskError> {
    let tokens = Columns::new("tokens", 2, &array)?;
    let condition = Columns::new("condition", 1, &array)?;
    let examples = tokens.array.shape()[0];
    let mut rows = Vec::with_capacity(examples);
    for row in 0..examples {
        let code = condition.at(&[row])?;
        let known = code.and_then(|code| Condition::from_code(code as usize));
        let condition = known.ok_or_else(|| TaskError::Table(format!("condition of example {row} is unknown")))?;
        rows.push(Example { tokens: tokens.list(&[row])?, writes: writes(row, &array)?, questions: questions(row, &array)?, condition });
    }
    Ok(rows)
}

fn writes<'a>(row: usize, array: &impl Fn(&str) -> Option<ArrayViewD<'a, i32>>) -> Result<Vec<Write>, TaskError> {
    let column = |name| Columns::new(name, 2, array);
    let (key_position, position, key, value) =
        (column("write_key_position")?, column("write_position")?, column("write_key")?, column("write_value")?);
    let (kind, copied_from, later) = (column("write_kind")?, column("write_copied_from")?, column("write_later_writes")?);
    let (at, by, deleted) = (column("write_superseded_at")?, column("write_superseded_by")?, column("write_deleted_at")?);
    let mut writes = Vec::new();
    for index in 0..position.array.shape()[1] {
        let place = [row, index];
        let Some(step) = position.at(&place)? else { break };
        let kind = WriteKind::ALL.get(kind.number(&place)? as usize).copied();
        writes.push(Write {
            id: index as u32,
            key_position: key_position.number(&place)? as usize,
            position: step as usize,
            key: key.number(&place)?,
            value: value.number(&place)?,
            kind: kind.ok_or_else(|| TaskError::Table(format!("write_kind at {place:?} is unknown")))?,
            copied_from: copied_from.at(&place)?,
            superseded_at: at.at(&place)?.map(|step| step as usize),
            superseded_by: by.at(&place)?,
            deleted_at: deleted.at(&place)?.map(|step| step as usize),
            later_writes: later.number(&place)?,
        });
    }
    Ok(writes)
}

fn questions<'a>(row: usize, array: &impl Fn(&str) -> Option<ArrayViewD<'a, i32>>) -> Result<Vec<Question>, TaskError> {
    let column = |name| Columns::new(name, 2, array);
    let lists = |name| Columns::new(name, 3, array);
    let (position, key, gold) = (column("question_position")?, column("question_key")?, column("question_gold")?);
    let (gold_write, asked_write, age) = (column("question_gold_write")?, column("question_asked_write")?, column("question_age")?);
    let (stale, stale_writes) = (lists("question_stale")?, lists("question_stale_writes")?);
    let (rivals, foils) = (lists("question_rivals")?, lists("question_foils")?);
    let mut questions = Vec::new();
    for index in 0..position.array.shape()[1] {
        let place = [row, index];
        let Some(step) = position.at(&place)? else { break };
        questions.push(Question {
            position: step as usize,
            key: key.number(&place)?,
            gold: gold.number(&place)?,
            gold_write: gold_write.at(&place)?,
            asked_write: asked_write.at(&place)?,
            age: age.at(&place)?.map(|age| age as usize),
            stale: stale.list(&place)?,
            stale_writes: stale_writes.list(&place)?,
            rivals: rivals.list(&place)?,
            foils: foils.list(&place)?,
        });
    }
    Ok(questions)
}

/// One stored array, read with care: what is on disk may be damaged.
struct Columns<'a> {
    name: &'static str,
    array: ArrayViewD<'a, i32>,
}

impl<'a> Columns<'a> {
    fn new(name: &'static str, axes: usize, find: &impl Fn(&str) -> Option<ArrayViewD<'a, i32>>) -> Result<Self, TaskError> {
        let array = find(name).ok_or_else(|| TaskError::Table(format!("the array '{name}' is missing")))?;
        if array.ndim() != axes {
            return Err(TaskError::Table(format!("the array '{name}' has {} axes instead of {axes}", array.ndim())));
        }
        Ok(Self { name, array })
    }

    /// The number at `place`, none for -1.
    fn at(&self, place: &[usize]) -> Result<Option<u32>, TaskError> {
        let number =
            self.array.get(IxDyn(place)).ok_or_else(|| TaskError::Table(format!("the array '{}' ends before {place:?}", self.name)))?;
        Ok(u32::try_from(*number).ok())
    }

    fn number(&self, place: &[usize]) -> Result<u32, TaskError> {
        self.at(place)?.ok_or_else(|| TaskError::Table(format!("the array '{}' has no number at {place:?}", self.name)))
    }

    /// The numbers along the last axis, up to the first -1.
    fn list(&self, place: &[usize]) -> Result<Vec<u32>, TaskError> {
        let mut numbers = Vec::new();
        for item in 0..*self.array.shape().last().expect("a list has an axis") {
            let mut whole = place.to_vec();
            whole.push(item);
            match self.at(&whole)? {
                Some(number) => numbers.push(number),
                None => break,
            }
        }
        Ok(numbers)
    }
}
