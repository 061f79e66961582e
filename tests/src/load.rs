//! Load that ends: seeded, bounded by count and by time.

use std::time::Duration;

use etcd_client::{Client, DeleteOptions, Txn, TxnOp};
use tokio::time::Instant;

use crate::seed::Dice;

/// What was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Keys put.
    pub puts: u64,
    /// Keys that a deletion named (whether or not they were there).
    pub deletes: u64,
    /// Requests that failed; what they did is not known.
    pub unknown: u64,
    /// The revision after the last one that succeeded.
    pub revision: i64,
}

/// A load on keys `<prefix>0000` and so on.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the keys begin with.
    pub prefix: String,
    /// How many different keys.
    pub keys: u64,
    /// The largest value, in bytes. Sizes are spread evenly up to it.
    pub value_max: u64,
    /// How many requests at most.
    pub requests: u64,
    /// How long at most.
    pub time: Duration,
    /// A pause after each request.
    pub pause: Duration,
    /// Goes on when a request fails, instead of ending the test.
    pub patient: bool,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            prefix: "/registry/configmaps/load/".to_owned(),
            keys: 40,
            value_max: 600,
            requests: 300,
            time: Duration::from_secs(10),
            pause: Duration::ZERO,
            patient: false,
        }
    }
}

impl Load {
    fn key(&self, dice: &mut Dice) -> String {
        format!("{}{:04}", self.prefix, dice.below(self.keys))
    }

    fn value(&self, dice: &mut Dice) -> Vec<u8> {
        let len = usize::try_from(dice.below(self.value_max + 1)).unwrap_or(0);
        dice.bytes(len)
    }

    /// Runs the load: single puts and deletions, transactions of several keys, and now and then a
    /// deletion of a range, which is one wide revision.
    ///
    /// # Panics
    ///
    /// If a request fails and the load is not patient.
    pub async fn run(&self, client: &mut Client, dice: &mut Dice) -> Tally {
        let deadline = Instant::now() + self.time;
        let mut tally = Tally::default();
        for _ in 0..self.requests {
            if Instant::now() >= deadline {
                break;
            }
            match self.request(client, dice, &mut tally).await {
                Ok(revision) => tally.revision = tally.revision.max(revision),
                Err(error) => {
                    assert!(self.patient, "the load failed: {error}");
                    tally.unknown += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            if !self.pause.is_zero() {
                tokio::time::sleep(self.pause).await;
            }
        }
        tally
    }

    async fn request(
        &self,
        client: &mut Client,
        dice: &mut Dice,
        tally: &mut Tally,
    ) -> Result<i64, etcd_client::Error> {
        let header = match dice.below(100) {
            0..55 => {
                tally.puts += 1;
                let (key, value) = (self.key(dice), self.value(dice));
                client.put(key, value, None).await?.take_header()
            }
            55..80 => {
                tally.deletes += 1;
                client.delete(self.key(dice), None).await?.take_header()
            }
            80..97 => {
                let mut ops = std::collections::BTreeMap::new();
                for _ in 0..2 + dice.below(12) {
                    let key = self.key(dice);
                    // A key at most once per transaction: etcd's rule.
                    let op = if dice.chance(70) {
                        TxnOp::put(key.clone(), self.value(dice), None)
                    } else {
                        TxnOp::delete(key.clone(), None)
                    };
                    ops.insert(key, op);
                }
                tally.puts += ops.len() as u64;
                let txn = Txn::new().and_then(ops.into_values().collect::<Vec<_>>());
                client.txn(txn).await?.take_header()
            }
            _ => {
                tally.deletes += 1;
                // Keys that share three digits, so at most ten.
                let mut key = self.key(dice);
                key.pop();
                let options = DeleteOptions::new().with_prefix();
                client.delete(key, Some(options)).await?.take_header()
            }
        };
        Ok(header.map_or(0, |header| header.revision()))
    }
}
