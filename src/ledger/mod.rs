//! Who wrote what a memory holds, and who took it away: exact accounts of one head of one sequence.
//!
//! The memory is linear in what was written: `S_t = P S_0 + sum_i u_{t,i} v_i^T`, where `u_{t,i}` starts as `beta_i k_i` and is
//! decayed and edited like the memory itself. From this follow, for every rule of the family and without approximation:
//!
//! - the **exact, signed attention** `A_{t,i} = q_t . u_{t,i}`: forward for all pairs ([`account()`]) or backwards for one read
//!   ([`contributions`]), with the share of the output it leaves unexplained ([`Account::residuals`]);
//! - the **removal shares** of every write: surviving, decayed, erased, overwritten ([`Tally`]), its half-life, and the same had
//!   the erase not been ([`HeadRecurrence::without_erase`], [`unique_contributions`]); on a card for long sequences ([`Accountant`]);
//! - **targeting**: whether what is removed is what is stale ([`Staleness`], [`targets`]);
//! - the **ceiling**: what a linear readout could get at best, and what share of it is stale ([`ceiling()`]).
//!
//! # Example
//!
//! What became of every write of a head, and which writes an erase removed:
//!
//! ```
//! use std::collections::BTreeMap;
//! use ndarray::{array, ArrayD};
//! use pentimento::ledger::{account, erased_at, AccountOptions, HeadRecurrence};
//! use pentimento::memory::{Factors, HookPoint, Rule};
//!
//! // Step 0 writes 1 at the first key channel, step 1 writes 2 at the second, step 2 erases at the first.
//! let key = |x: f64, y: f64| [x, y];
//! let directions = |rows: [[f64; 2]; 3]| ArrayD::from_shape_vec(vec![1, 3, 1, 2], rows.concat()).unwrap();
//! let numbers = |x: [f64; 3]| ArrayD::from_shape_vec(vec![1, 3, 1], x.to_vec()).unwrap();
//! let arrays = BTreeMap::from([
//!     (HookPoint::Query, directions([key(1.0, 0.0), key(1.0, 0.0), key(1.0, 1.0)])),
//!     (HookPoint::WriteDirection(0), directions([key(1.0, 0.0), key(0.0, 1.0), key(0.0, 1.0)])),
//!     (HookPoint::Value(0), ArrayD::from_shape_vec(vec![1, 3, 1, 1], vec![1.0, 2.0, 0.0]).unwrap()),
//!     (HookPoint::Retention, ArrayD::ones(vec![1, 3, 1, 2])),
//!     (HookPoint::WriteStrength(0), numbers([1.0, 1.0, 0.0])),
//!     (HookPoint::EraseDirection, directions([key(1.0, 0.0); 3])),
//!     (HookPoint::EraseStrength, numbers([0.0, 0.0, 0.5])),
//! ]);
//! let recurrence = Factors::new(Rule::Eda, arrays, None).unwrap().lower();
//! let head = HeadRecurrence::new(&recurrence, 0, 0);
//!
//! let found = account(&head, &AccountOptions { attention: true, ..AccountOptions::default() });
//! // The erase halves the first write: a quarter of its energy survives, three quarters were erased.
//! assert_eq!(found.tallies[0].shares(), Some([0.25, 0.0, 0.75, 0.0]));
//! // The last read sees half of the first write and all of the second: o = 0.5 * 1 + 1 * 2.
//! assert_eq!(found.attention.as_ref().unwrap().row(2).to_vec(), [0.5, 1.0, 0.0]);
//! assert_eq!(found.output[[2, 0]], 2.5);
//! // What the erase of step 2 took, and from whom.
//! assert_eq!(erased_at(&head, 2).unwrap().energy, [0.75, 0.0]);
//! ```

// Maintainers: `head` (contiguous rows of one head) -> `prepared` (what all writes of a step share) -> `kernel` (the inner loops)
// -> `block` (32 writes through all steps) -> `account` (all blocks, all threads). On a card `memory::follow` takes the place of
// `kernel` and `block` (`card`).

mod head;
mod sweep;
mod kernel;
mod prepared;
mod orders;
mod tally;
mod block;
mod half_life;
mod account;
mod card;
mod compare;
mod life;
mod unique;
mod stale;
mod targeting;
mod ceiling;
mod window;
pub mod bench;

pub use account::{Account, AccountOptions, account};
pub use card::{Accountant, account_by};
pub use ceiling::{Ceiling, NOISE_BF16, NOISE_F16, NOISE_F32, NOISE_GRID, ceiling};
pub use half_life::decay_only_survivals;
pub use head::{HeadRecurrence, WritePlace};
pub use kernel::Precision;
pub use life::{Life, Removal, life};
pub use prepared::Mechanism;
pub use stale::{Staleness, Standing};
pub use sweep::{Contributions, Taken, contributions, erased_at};
pub use tally::{Form, Tally};
pub use targeting::{TargetSums, Targets, targets};
pub use unique::{UniqueContribution, unique_contributions};
pub use window::survivals_after;
