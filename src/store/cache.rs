//! Recently written blocks of results, in memory, so that new results are shown without the disk.
//! Does not read the store on a miss.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ganger_proto::BlockId;

/// Bytes of blocks kept in memory by default.
pub const BLOCK_CACHE_BYTES_MAX: usize = 8 << 20;

/// Blocks kept in memory, the oldest dropped first. Clones share the blocks.
#[derive(Clone, Debug)]
pub struct BlockCache {
    shared: Arc<Mutex<Blocks>>,
}

impl BlockCache {
    /// Makes an empty cache of at most `bytes_max` bytes of blocks.
    pub fn new(bytes_max: usize) -> Self {
        let blocks =
            Blocks { bytes_max, bytes: 0, turn: 0, by_id: HashMap::new(), order: VecDeque::new() };
        Self { shared: Arc::new(Mutex::new(blocks)) }
    }

    /// Returns a block when it is still in memory.
    pub fn get(&self, id: BlockId) -> Option<Arc<[u8]>> {
        self.blocks().by_id.get(&id).map(|(_, block)| Arc::clone(block))
    }

    /// Keeps a block; one larger than the whole cache is not kept.
    pub fn put(&self, id: BlockId, block: impl Into<Arc<[u8]>>) {
        self.blocks().put(id, block.into());
    }

    /// Forgets a block that the store drops.
    pub fn remove(&self, id: BlockId) {
        self.blocks().remove(id);
    }

    /// Bytes of the blocks in memory.
    pub fn bytes(&self) -> usize {
        self.blocks().bytes
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for BlockCache {
    fn default() -> Self {
        Self::new(BLOCK_CACHE_BYTES_MAX)
    }
}

#[derive(Debug)]
struct Blocks {
    bytes_max: usize,
    bytes: usize,
    turn: u64,
    by_id: HashMap<BlockId, (u64, Arc<[u8]>)>,
    /// Turns and ids in the order of `put`; an entry whose turn is not the block's is stale.
    order: VecDeque<(u64, BlockId)>,
}

impl Blocks {
    fn put(&mut self, id: BlockId, block: Arc<[u8]>) {
        self.remove(id);
        if block.len() > self.bytes_max {
            return;
        }
        self.turn += 1;
        self.bytes += block.len();
        self.order.push_back((self.turn, id));
        self.by_id.insert(id, (self.turn, block));
        while self.bytes > self.bytes_max {
            let Some((turn, oldest)) = self.order.pop_front() else { break };
            if self.by_id.get(&oldest).is_some_and(|(of, _)| *of == turn) {
                self.remove(oldest);
            }
        }
        if self.order.len() > 2 * self.by_id.len() + 64 {
            let by_id = &self.by_id;
            self.order.retain(|(turn, id)| by_id.get(id).is_some_and(|(of, _)| of == turn));
        }
    }

    fn remove(&mut self, id: BlockId) {
        if let Some((_, block)) = self.by_id.remove(&id) {
            self.bytes -= block.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(raw: u64) -> BlockId {
        BlockId::new(raw)
    }

    #[test]
    fn the_oldest_goes_first() {
        let cache = BlockCache::new(10);
        for raw in 1..=3 {
            cache.put(id(raw), vec![0; 4]);
        }
        assert_eq!(cache.get(id(1)), None);
        assert_eq!(cache.get(id(2)).unwrap().len(), 4);
        assert_eq!(cache.bytes(), 8);
        cache.put(id(2), vec![1; 4]);
        cache.put(id(4), vec![2; 4]);
        assert_eq!(cache.get(id(3)), None, "2 was written again, so 3 is the oldest");
        assert_eq!(cache.get(id(2)).unwrap().as_ref(), [1; 4]);
        cache.put(id(5), vec![0; 11]);
        assert_eq!(cache.get(id(5)), None);
        cache.remove(id(2));
        assert_eq!(cache.bytes(), 4);
    }

    #[test]
    fn writing_and_removing_does_not_grow_the_order() {
        let cache = BlockCache::new(1 << 20);
        for raw in 0..10_000 {
            cache.put(id(raw), vec![0; 8]);
            cache.remove(id(raw));
        }
        assert_eq!(cache.bytes(), 0);
        assert!(cache.blocks().order.len() <= 65);
    }
}
