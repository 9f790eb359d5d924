// Decoded code by guest-physical address: straight-line blocks of `tz_instruction`s, found by address and mode, and
// thrown away by page when something writes to their bytes. One cache per vCPU, touched by its thread only.

import CPrimitives
import Glibc
import Memory

/// A run of instructions that lies in one page but for the last, which may cross into the next.
package struct Block {
    /// Guest-physical address of the first byte.
    package var address: UInt64
    /// What the code was decoded for (`DecodeMode`, packed).
    package var mode: UInt8
    package var valid: Bool
    /// Begins at a page offset where a debugger has a breakpoint: no jump cache may hold it.
    var mayStop: Bool
    package var count: UInt16
    /// Bytes of guest code.
    package var size: UInt16
    /// Guest-physical page into which the last instruction crosses, or `Block.noPage`.
    package var secondPage: UInt64
    package var instructions: UnsafeMutablePointer<tz_instruction>
    /// What an engine made of the block, how often it ran before that, and what failed then; all are the engine's own.
    package var translation: UnsafeMutableRawPointer?
    package var runs: UInt32 = 0
    package var failures: UInt8 = 0
    /// Next block of the same hash bucket and of the same page.
    var nextInBucket: UnsafeMutablePointer<Block>?
    var nextInPage: UnsafeMutablePointer<Block>?
    /// Next block that crosses into the same second page.
    var nextCrossing: UnsafeMutablePointer<Block>?

    /// Whoever has found it once need not ask again until addresses may lead elsewhere.
    package var isRemembered: Bool { !mayStop }
    package static let noPage = UInt64.max
    /// The most instructions in a block, so that interrupts are noticed within a bounded number of them.
    package static let maximumCount = 64
}

/// Told what happens to blocks, on their vCPU's thread.
package protocol CodeObserver: AnyObject {
    /// A block is no longer true to memory.
    func blockForgotten(_ block: UnsafeMutablePointer<Block>)
    /// All blocks are about to go.
    func allBlocksForgotten()
    /// Linear addresses in user code, supervisor code, or both may lead elsewhere.
    func jumpsForgotten(user: Bool, supervisor: Bool)
}

/// The blocks made from one page.
struct CodePage {
    var firstBlock: UnsafeMutablePointer<Block>?
    var firstCrossing: UnsafeMutablePointer<Block>?
}

final class CodeCache {
    private static let bucketCount = 1 << 19
    private static let instructionCapacity = 1 << 21
    private static let blockCapacity = 1 << 19

    // SAFETY: three arenas owned by this object; blocks and instructions are handed out in order and all taken back at
    // once by `removeAll`. The run loop holds no block across that.
    private let buckets: UnsafeMutablePointer<UnsafeMutablePointer<Block>?>
    private let blocks: UnsafeMutablePointer<Block>
    private let instructions: UnsafeMutablePointer<tz_instruction>
    @exclusivity(unchecked) private var preparedBlocks: PreparedMemory
    @exclusivity(unchecked) private var preparedInstructions: PreparedMemory
    @exclusivity(unchecked) private var blockCount = 0
    @exclusivity(unchecked) private var instructionCount = 0
    @exclusivity(unchecked) private var pages: [UInt64: CodePage] = [:]
    weak var observer: (any CodeObserver)?

    init() {
        buckets = zeroed(Self.bucketCount)
        blocks = pageAligned(Self.blockCapacity)
        instructions = pageAligned(Self.instructionCapacity)
        preparedBlocks = PreparedMemory(blocks, size: Self.blockCapacity * MemoryLayout<Block>.stride)
        preparedInstructions = PreparedMemory(
            instructions, size: Self.instructionCapacity * MemoryLayout<tz_instruction>.stride)
    }

    deinit {
        free(buckets)
        free(blocks)
        free(instructions)
    }

    private static func bucket(_ address: UInt64, _ mode: UInt8) -> Int {
        let mixed = (address ^ UInt64(mode) << 40) &* 0x9e37_79b9_7f4a_7c15
        return Int(truncatingIfNeeded: mixed >> 45)
    }

    /// The block that begins at a guest-physical address.
    func find(_ address: UInt64, mode: UInt8) -> UnsafeMutablePointer<Block>? {
        var candidate = buckets[Self.bucket(address, mode)]
        while let block = candidate {
            if block.pointee.address == address, block.pointee.mode == mode { return block }
            candidate = block.pointee.nextInBucket
        }
        return nil
    }

    /// Where the next block's instructions are to be decoded to: room for `Block.maximumCount`. Nil when the arenas are
    /// full; `removeAll` makes room.
    func room() -> UnsafeMutablePointer<tz_instruction>? {
        guard blockCount < Self.blockCapacity,
            instructionCount + Block.maximumCount <= Self.instructionCapacity
        else { return nil }
        preparedInstructions.reach(
            (instructionCount + Block.maximumCount) * MemoryLayout<tz_instruction>.stride)
        return instructions + instructionCount
    }

    /// Enters a block whose instructions were decoded into `room()`.
    func insert(_ new: Block) -> UnsafeMutablePointer<Block> {
        preparedBlocks.reach((blockCount + 1) * MemoryLayout<Block>.stride)
        let block = blocks + blockCount
        block.initialize(to: new)
        blockCount += 1
        instructionCount += Int(new.count)
        let bucket = Self.bucket(new.address, new.mode)
        block.pointee.nextInBucket = buckets[bucket]
        buckets[bucket] = block

        let page = new.address >> 12
        block.pointee.nextInPage = exchange(&pages[page, default: CodePage()].firstBlock, with: block)
        guard new.secondPage != Block.noPage else { return block }
        block.pointee.nextCrossing = exchange(&pages[new.secondPage, default: CodePage()].firstCrossing, with: block)
        return block
    }

    /// Forgets all blocks with bytes in a page.
    func removePage(_ page: UInt64) {
        let record = pages.removeValue(forKey: page)
        var next = record?.firstBlock
        while let block = next {
            next = block.pointee.nextInPage
            remove(block)
        }
        next = record?.firstCrossing
        while let block = next {
            next = block.pointee.nextCrossing
            remove(block)
        }
    }

    private func remove(_ block: UnsafeMutablePointer<Block>) {
        guard block.pointee.valid else { return }
        block.pointee.valid = false
        observer?.blockForgotten(block)
        let bucket = Self.bucket(block.pointee.address, block.pointee.mode)
        if buckets[bucket] == block {
            buckets[bucket] = block.pointee.nextInBucket
            return
        }
        var previous = buckets[bucket]
        while let candidate = previous {
            if candidate.pointee.nextInBucket == block {
                candidate.pointee.nextInBucket = block.pointee.nextInBucket
                return
            }
            previous = candidate.pointee.nextInBucket
        }
    }

    /// Forgets everything.
    func removeAll() {
        guard blockCount > 0 else { return }
        pages.removeAll(keepingCapacity: true)
        if blockCount < Self.bucketCount / 8 {
            for n in 0..<blockCount { buckets[Self.bucket(blocks[n].address, blocks[n].mode)] = nil }
        } else {
            buckets.update(repeating: nil, count: Self.bucketCount)
        }
        blockCount = 0
        instructionCount = 0
    }
}
