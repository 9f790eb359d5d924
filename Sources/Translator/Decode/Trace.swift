// A trace: blocks that are translated together, because each but the last ends with a conditional jump behind which the
// next begins. Within it flags, registers and probes of the TLB are known across the jumps that are not taken.

import X86

/// The blocks of one translation, in order. They lie in one page, so that whatever makes one of them untrue does so to all.
struct Trace {
    private static let longest = 4

    private var others = InlineArray<3, UnsafeMutablePointer<Block>?>(repeating: nil)
    private let first: UnsafeMutablePointer<Block>
    private(set) var count = 1

    /// A trace of one block.
    init(_ block: UnsafeMutablePointer<Block>) { first = block }

    var isFull: Bool { count == Self.longest }

    /// The block at an index below `count`.
    subscript(index: Int) -> UnsafeMutablePointer<Block> { index == 0 ? first : others[index - 1] ?? first }

    /// The guest-physical address behind its last block.
    var end: UInt64 { self[count - 1].pointee.address + UInt64(self[count - 1].pointee.size) }

    /// Adds a block to a trace that is not full.
    mutating func append(_ block: UnsafeMutablePointer<Block>) {
        others[count - 1] = block
        count += 1
    }
}

extension Translator {
    /// The trace that begins with a block, as far as the blocks behind it have run before, and its operations in `operations`.
    func trace(from block: UnsafeMutablePointer<Block>) -> Trace {
        var trace = Trace(block)
        lowering.lower(block, into: &operations)
        var end = block
        while !trace.isFull, let last = operations.last, last.kind == .jumpIf, !last.pollsAfter,
            let next = cpu.blockBehind(end), operations.count + Int(next.pointee.count) <= Block.maximumCount
        {
            let count = operations.count
            lowering.append(next, to: &operations)
            // A vector register that the first block does not use may be closed to the guest.
            let gates = OpenGates(operations[..<count])
            guard gates.isSuperset(of: OpenGates(operations[count...])) else {
                operations.removeLast(operations.count - count)
                break
            }
            trace.append(next)
            end = next
        }
        return trace
    }
}
