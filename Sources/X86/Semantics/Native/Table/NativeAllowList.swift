// The allow-list as others in this package see it: what may run natively, for tests that execute instructions on the
// host, and for engines that copy them.

/// Read access to the encodings that may run on the host CPU.
package enum NativeAllowList {
    /// One encoding.
    package struct Encoding: Sendable {
        /// The mnemonic in lower case.
        package let mnemonic: String
        /// VEX-encoded.
        package let vex: Bool
        /// 0: one byte, 1: 0F, 2: 0F 38, 3: 0F 3A.
        package let map: UInt8
        /// 0: none, 1: 66, 2: F3, 3: F2.
        package let prefix: UInt8
        package let opcode: UInt8
        /// ModRM has `modrmValue` in the bits of `modrmMask`.
        package let modrmMask: UInt8
        package let modrmValue: UInt8
        package let hasModRM: Bool
        package let hasImmediate: Bool
        package let takesRegister: Bool
        package let takesMemory: Bool
        /// The values of W and L that are meant or make no difference.
        package let ws: [Bool]
        package let ls: [Bool]
        /// VEX.vvvv names an operand.
        package let usesVVVV: Bool
        /// Elements are accessed under a mask, or at vector indices.
        package let isMasked: Bool
        package let isGather: Bool
        package let writesMemory: Bool
        /// A misaligned memory operand is #GP(0).
        package let isAligned: Bool
        package let usesMXCSR: Bool
        package let isX87: Bool
        package let usesMMX: Bool
        /// Runs in a stub, as opposed to being written out.
        package let runsNatively: Bool

        private let size: NativeSize
        /// Size of the memory operand in bytes.
        package func memorySize(l: Bool, w: Bool) -> Int { Int(size.bytes(l: l, w: w)) }

        init(_ row: NativeRow) {
            mnemonic = row.mnemonic
            vex = row.vex
            map = row.map
            prefix = row.prefix
            opcode = row.opcode
            modrmMask = row.modrmMask
            modrmValue = row.modrmValue
            hasModRM = row.hasModRM
            hasImmediate = row.hasImmediate
            takesRegister = row.hasModRM && row.form != .memory
            takesMemory = row.hasModRM && row.form != .register
            ws = Self.values(row.w)
            ls = row.vex ? Self.values(row.l) : [false]
            usesVVVV = row.vvvv.kind != .none
            isMasked = row.special == .masked
            isGather = row.special == .gather
            writesMemory = row.rm.writes
            isAligned = row.aligned
            usesMXCSR = row.usesMXCSR
            isX87 = row.isX87
            usesMMX = row.entersMMX
            runsNatively = row.special == .none && !row.nonWaiting
            size = row.memorySize
        }

        private static func values(_ bit: NativeBit) -> [Bool] {
            switch bit {
            case .ignored, .meaningful: [false, true]
            case .zero: [false]
            case .one: [true]
            }
        }
    }

    /// Every encoding.
    package static var encodings: [Encoding] {
        (1..<NativeTable.shared.count).map { Encoding(NativeTable.shared.rows[$0]) }
    }

    /// Whether an encoding is in the list; the parameters are those of `NativeTable.lookup`.
    package static func contains(
        map: UInt8, prefix: UInt8, vex: Bool, l: Bool, w: Bool, opcode: UInt8, modrm: UInt8
    ) -> Bool {
        NativeTable.lookup(map: map, prefix: prefix, vex: vex, l: l, w: w, opcode: opcode, modrm: modrm) != nil
    }

    /// Bytes of code that the stubs of every encoding together would take; the arena must hold them.
    package static var largestCode: Int {
        (1..<NativeTable.shared.count).reduce(0) { sum, number in
            let row = NativeTable.shared.rows[number]
            guard row.special == .none else { return sum }
            let forms: [Bool] = row.form == .any ? [false, true] : [row.form == .memory]
            let bits = (row.w == .ignored ? 1 : 2) * (row.l == .ignored ? 1 : 2) * (row.hasImmediate ? 256 : 1)
            let stacks = row.modrmMask == 0xf8 ? 8 : 1
            return forms.reduce(sum) { sum, memory in
                let key = NativeStubKey(
                    row: NativeRowIndex(number), memory: memory, l: true, w: true, stack: 0, immediate: 0)
                let code = NativeStubBuilder.build(row, key, exits: NativeExits(gate: 0, hostMXCSR: 0), at: 0)
                return sum + ((code.count + 15) & ~15) * bits * stacks
            }
        }
    }

    /// Bytes of code memory that stubs may take.
    package static let codeCapacity = NativeCode.size
}
