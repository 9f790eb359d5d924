// Blocks made of given bytes, outside of any guest: for whoever shows or tests what becomes of instructions.

import CPrimitives

/// Owns a few blocks, one behind the other, and their instructions.
package struct DecodedRun: ~Copyable {
    // SAFETY: two allocations of this value's own, as large as what is put into them.
    private let blocks: UnsafeMutablePointer<Block>
    /// Number of blocks, at least 1.
    package private(set) var count = 0
    private let instructions: UnsafeMutablePointer<tz_instruction>

    /// The first block.
    package var block: UnsafeMutablePointer<Block> { blocks }
    /// The block at an index below `count`.
    package subscript(index: Int) -> UnsafeMutablePointer<Block> { blocks + index }

    /// Decodes as many whole instructions of `bytes` as make a block, and goes on with further ones up to `limit`.
    ///
    /// - Parameters:
    ///   - address: guest-physical address of the first byte.
    ///   - mode: as in `Block.mode`.
    package init(_ bytes: [UInt8], address: UInt64, mode: UInt8, model: CPUModel, limit: Int = 1) {
        instructions = .allocate(capacity: Block.maximumCount)
        blocks = .allocate(capacity: limit)
        let decodeMode = DecodeMode(codeWidth: mode & 14, realOrVirtual8086: mode & 1 != 0)
        var decoded = 0
        var position = 0
        repeat {
            let (first, start) = (decoded, position)
            while decoded < Block.maximumCount, position < bytes.count {
                let out = instructions + decoded
                let outcome = bytes.withUnsafeBufferPointer { buffer in
                    buffer.baseAddress.map {
                        decode($0 + position, count: bytes.count - position, mode: decodeMode, into: out)
                    }
                }
                guard outcome == .complete, out.pointee.mnemonic != Mnemonic.invalid.rawValue else { break }
                out.pointee.handler = selectHandler(out, model.instructions)
                position += Int(out.pointee.length)
                decoded += 1
                if out.pointee.flags & UInt8(TZ_INSN_ENDS_BLOCK) != 0 { break }
            }
            (blocks + count).initialize(
                to: Block(
                    address: address + UInt64(start), mode: mode, valid: true, mayStop: false,
                    count: UInt16(decoded - first), size: UInt16(position - start), secondPage: Block.noPage,
                    instructions: instructions + first))
            count += 1
            if decoded == first { break }
        } while count < limit && decoded < Block.maximumCount && position < bytes.count
    }

    deinit {
        blocks.deallocate()
        instructions.deallocate()
    }

    /// The mode of 64-bit code.
    package static func mode(isUser: Bool) -> UInt8 {
        UInt8(isUser ? TZ_TLB_USER : TZ_TLB_SUPERVISOR) << 4 | 8
    }
}
