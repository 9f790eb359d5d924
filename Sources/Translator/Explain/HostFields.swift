// Where the displacement and the immediate of a host instruction stand among its bytes: for those that name what they mean
// instead. Knows the encodings that generated code is made of.

/// The parts of one instruction.
struct HostFields {
    /// Bytes of the displacement of a memory operand; empty if there is none.
    private(set) var displacement = 0..<0
    /// The memory operand's base is the state pointer (`Host.state`).
    private(set) var isInState = false
    /// Bytes of the distance of a near jump or call.
    private(set) var distance = 0..<0
    /// Bytes of a 64-bit immediate.
    private(set) var pointer = 0..<0

    init(_ bytes: [UInt8]) {
        var position = 0
        func byte(_ n: Int) -> UInt8 { n < bytes.count ? bytes[n] : 0 }
        while [0x66, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65, 0x67].contains(byte(position)) {
            position += 1
        }
        var rex: UInt8 = 0
        var map: UInt8 = 0
        if byte(position) == 0xc4 {
            rex = (byte(position + 1) ^ 0xe0) >> 5
            map = byte(position + 1) & 31
            position += 3
        } else if byte(position) == 0xc5 {
            map = 1
            position += 2
        } else {
            if byte(position) & 0xf0 == 0x40 {
                rex = byte(position) & 15
                position += 1
            }
            if byte(position) == 0x0f {
                position += 1
                map = 1
                if byte(position) == 0x38 || byte(position) == 0x3a {
                    map = byte(position) == 0x38 ? 2 : 3
                    position += 1
                }
            }
        }
        let opcode = byte(position)
        position += 1
        switch (map, opcode) {
        case (0, 0xe8), (0, 0xe9), (1, 0x80...0x8f): distance = position..<position + 4
        case (0, 0xeb), (0, 0x70...0x7f): distance = position..<position + 1
        case (0, 0xb8...0xbf) where rex & 8 != 0: pointer = position..<position + 8
        default: if Self.hasModRM(map, opcode) { readModRM(byte, rex, position) }
        }
    }

    private mutating func readModRM(_ byte: (Int) -> UInt8, _ rex: UInt8, _ start: Int) {
        let (mod, rm) = (byte(start) >> 6, byte(start) & 7)
        guard mod != 3 else { return }
        var position = start + 1
        var base = rm | (rex & 1) << 3
        if rm == 4 {
            base = byte(position) & 7 | (rex & 1) << 3
            position += 1
        }
        if mod == 0, base & 7 == 5 {
            displacement = position..<position + 4
            return
        }
        isInState = base == Host.state
        displacement = position..<position + [0, 1, 4][Int(mod)]
    }

    private static func hasModRM(_ map: UInt8, _ opcode: UInt8) -> Bool {
        switch map {
        case 0:
            switch opcode {
            case 0x00...0x3f: opcode & 7 < 4
            case 0x50...0x5f, 0x90...0x9f, 0xa8, 0xa9, 0xb0...0xbf, 0xc3, 0xcc, 0xf4, 0xf5, 0xf8...0xfd, 0x68, 0x6a:
                false
            default: true
            }
        case 1: ![0x05, 0x0b, 0x31, 0x77, 0xa2].contains(opcode) && !(0xc8...0xcf).contains(opcode)
        default: true
        }
    }
}
