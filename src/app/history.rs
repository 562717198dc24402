//! Undo and redo.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layout::Layout;
use super::panel::PanelKind;
use super::selection::Selection;

/// What undo restores, and what a workspace keeps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// What is selected.
    pub selection: Selection,
    /// What every panel lets one choose, where it is not the default.
    pub views: BTreeMap<PanelKind, Value>,
    /// How the panels are arranged.
    pub layout: Layout,
    /// Selections under names.
    pub bookmarks: Vec<Bookmark>,
    /// The steps that playing repeats, both ends included.
    pub repeat: Option<(usize, usize)>,
}

/// A selection under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bookmark {
    /// Its name.
    pub name: String,
    /// What it remembers.
    pub selection: Selection,
}

/// As many steps as can be taken back.
const DEPTH: usize = 200;

/// States before and after the present one.
#[derive(Debug, Default)]
pub struct History {
    past: Vec<State>,
    future: Vec<State>,
    gesture: Option<String>,
}

impl History {
    /// Notes the state before a change. Changes of one gesture in a row are one step.
    pub fn note(&mut self, before: &State, gesture: Option<String>) {
        self.future.clear();
        if gesture.is_some() && gesture == self.gesture && !self.past.is_empty() {
            return;
        }
        self.gesture = gesture;
        self.past.push(before.clone());
        if self.past.len() > DEPTH {
            self.past.remove(0);
        }
    }

    /// The gesture is over: the next change is a step of its own.
    pub fn end_gesture(&mut self) {
        self.gesture = None;
    }

    /// Takes back the last change.
    pub fn undo(&mut self, present: &mut State) -> bool {
        self.gesture = None;
        let Some(before) = self.past.pop() else { return false };
        self.future.push(std::mem::replace(present, before));
        true
    }

    /// Does again what was taken back.
    pub fn redo(&mut self, present: &mut State) -> bool {
        self.gesture = None;
        let Some(after) = self.future.pop() else { return false };
        self.past.push(std::mem::replace(present, after));
        true
    }

    /// Whether something can be taken back, and whether something can be done again.
    pub fn can(&self) -> (bool, bool) {
        (!self.past.is_empty(), !self.future.is_empty())
    }

    /// Forgets everything: another workspace was opened.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
