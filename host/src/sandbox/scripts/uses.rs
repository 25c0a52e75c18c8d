//! How often each script came lately, roughly, in little memory however many there are.

use std::hash::{BuildHasher, Hash, RandomState};

/// Counters in each row; a power of two.
const WIDTH: usize = 1 << 14;

/// Each script has a counter in each of them.
const ROWS: usize = 4;

/// After so many uses of any scripts all counts are halved: what came long ago counts for less
/// and less.
pub(super) const LATELY: usize = WIDTH;

/// A count-min sketch: each script has some counters, which it may share with others, and came no
/// more often than the least of them says.
pub(super) struct Uses {
    rows: Box<[[u8; WIDTH]; ROWS]>,
    /// Which counters are a script's, nobody outside can foretell.
    hasher: RandomState,
    /// Since the counts were halved.
    counted: usize,
}

impl Default for Uses {
    fn default() -> Uses {
        let rows = Box::new([[0; WIDTH]; ROWS]);
        Uses { rows, hasher: RandomState::new(), counted: 0 }
    }
}

impl Uses {
    /// Counts one, and says how many there were lately, this one among them.
    pub(super) fn count(&mut self, name: &impl Hash) -> u8 {
        self.counted += 1;
        if self.counted > LATELY {
            self.counted = 0;
            self.rows.as_flattened_mut().iter_mut().for_each(|count| *count /= 2);
        }
        let counters = self.counters(name);
        let count = self.least(counters).saturating_add(1);
        for (row, at) in self.rows.iter_mut().zip(counters) {
            // Those that are above it count for others, too.
            row[at] = row[at].max(count);
        }
        count
    }

    /// How often it came lately.
    pub(super) fn of(&self, name: &impl Hash) -> u8 {
        self.least(self.counters(name))
    }

    fn counters(&self, name: &impl Hash) -> [usize; ROWS] {
        let hash = self.hasher.hash_one(name);
        std::array::from_fn(|row| (hash >> (row * 16)) as usize % WIDTH)
    }

    fn least(&self, counters: [usize; ROWS]) -> u8 {
        self.rows.iter().zip(counters).map(|(row, at)| row[at]).min().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_often_counts_for_more_and_what_came_long_ago_for_nothing() {
        let mut uses = Uses::default();
        for i in 0..100 {
            assert!(uses.count(&"often") > i);
        }
        let seldom = uses.count(&"seldom");
        assert!((1..=2).contains(&seldom), "{seldom}");
        assert_eq!(uses.of(&"never"), 0);
        (0..300).for_each(|_| assert!(uses.count(&"often") > 100));
        assert_eq!(uses.of(&"often"), u8::MAX);
        // Others come, each once.
        for other in 0..20 * LATELY {
            uses.count(&other);
        }
        assert!(uses.of(&"often") < 10, "but for what it shares");
    }

    #[test]
    fn many_that_come_seldom_are_not_taken_for_ones_that_come_often() {
        let mut uses = Uses::default();
        let most = (0..10 * LATELY).map(|i| uses.count(&(i % 10_000))).max();
        assert!(most < Some(12), "each came 3 times at most: {most:?}");
    }
}
