// A block made of given bytes, outside of any guest: for whoever shows or tests what becomes of instructions.

import CPrimitives

/// Owns a block and its instructions.
package struct DecodedRun: ~Copyable {
    // SAFETY: two allocations of this value's own, as large as what is put into them.
    package let block: UnsafeMutablePointer<Block>
    private let instructions: UnsafeMutablePointer<tz_instruction>

    /// Decodes as many whole instructions of `bytes` as make a block.
    ///
    /// - Parameters:
    ///   - address: guest-physical address of the first byte.
    ///   - mode: as in `Block.mode`.
    package init(_ bytes: [UInt8], address: UInt64, mode: UInt8, model: CPUModel) {
        instructions = .allocate(capacity: Block.maximumCount)
        block = .allocate(capacity: 1)
        let decodeMode = DecodeMode(codeWidth: mode & 14, realOrVirtual8086: mode & 1 != 0)
        var count = 0
        var position = 0
        while count < Block.maximumCount, position < bytes.count {
            let out = instructions + count
            let outcome = bytes.withUnsafeBufferPointer { buffer in
                buffer.baseAddress.map {
                    decode($0 + position, count: bytes.count - position, mode: decodeMode, into: out)
                }
            }
            guard outcome == .complete, out.pointee.mnemonic != Mnemonic.invalid.rawValue else { break }
            out.pointee.handler =
                integerHandler(out, model: model) ?? systemHandler(out) ?? nativeHandler(out, model: model)
            position += Int(out.pointee.length)
            count += 1
            if out.pointee.flags & UInt8(TZ_INSN_ENDS_BLOCK) != 0 { break }
        }
        block.initialize(
            to: Block(
                address: address, mode: mode, valid: true, mayStop: false, count: UInt16(count), size: UInt16(position),
                secondPage: Block.noPage, instructions: instructions))
    }

    deinit {
        block.deallocate()
        instructions.deallocate()
    }

    /// The mode of 64-bit code.
    package static func mode(isUser: Bool) -> UInt8 {
        UInt8(isUser ? TZ_TLB_USER : TZ_TLB_SUPERVISOR) << 4 | 8
    }
}
