// Moves of the vector elements that a mask selects: MASKMOVQ, MASKMOVDQU, VMASKMOVPS/PD, VPMASKMOVD/Q. Elements that are
// not selected are not accessed and raise no fault, so these are written out, element by element. Stores are checked as
// a whole before the first byte is written.

import CPrimitives

/// The handler of a masked move; `width` is the size of the vector.
func maskedMoveHandler(_ i: UnsafeMutablePointer<tz_instruction>, _ row: NativeRow) -> tz_handler? {
    if i.pointee.opcode == 0xf7 {
        i.pointee.width = row.reg.kind == .mmx ? 8 : 16
        return row.reg.kind == .mmx ? maskmovq : maskmovdqu
    }
    // Opcodes: 2C load PS, 2D load PD, 2E store PS, 2F store PD, 8C load D/Q by W, 8E store D/Q by W.
    let wide = i.pointee.opcode < 0x80 ? i.pointee.opcode & 1 != 0 : i.pointee.rex & 8 != 0
    if row.rm.writes { return wide ? maskedStore64 : maskedStore32 }
    return wide ? maskedLoad64 : maskedLoad32
}

extension CPU {
    /// Which elements of the mask register have their highest bit set, one bit each.
    fileprivate func selected(_ mask: UInt8, element: Int, size: Int) -> UInt32 {
        var bits: UInt32 = 0
        for n in 0..<size / element
        where vector(mask).load(fromByteOffset: (n + 1) * element - 1, as: UInt8.self) >= 0x80 {
            bits |= 1 << UInt32(n)
        }
        return bits
    }

    /// The linear address of an element. Outside 64-bit mode each selected element's own bytes are checked against the
    /// segment.
    fileprivate func elementAddress(
        _ i: Instruction, _ n: Int, element: Int, _ access: Access
    ) throws(GuestFault) -> UInt64 {
        let offset = (effectiveAddress(i) &+ UInt64(n * element)) & i.pointee.address_mask
        return try linearAddress(offset, segment: i.pointee.segment, size: element, access)
    }

    fileprivate func maskedLoad(_ i: Instruction, element: Int) throws(GuestFault) {
        try passGates(i)
        let size = Int(i.pointee.width)
        let bits = selected(i.pointee.vvvv, element: element, size: size)
        var result: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        for n in 0..<size / element where bits >> UInt32(n) & 1 != 0 {
            let linear = try elementAddress(i, n, element: element, .read)
            let value = try loadPiece(linear, size: element)
            withUnsafeMutableBytes(of: &result) { bytes in
                if element == 8 {
                    bytes.storeBytes(of: value, toByteOffset: n * 8, as: UInt64.self)
                } else {
                    bytes.storeBytes(of: UInt32(truncatingIfNeeded: value), toByteOffset: n * 4, as: UInt32.self)
                }
            }
        }
        vector(i.pointee.reg).storeBytes(of: result, as: (UInt64, UInt64, UInt64, UInt64).self)
    }

    fileprivate func maskedStore(_ i: Instruction, element: Int) throws(GuestFault) {
        try passGates(i)
        let size = Int(i.pointee.width)
        let bits = selected(i.pointee.vvvv, element: element, size: size)
        for n in 0..<size / element where bits >> UInt32(n) & 1 != 0 {
            try checkElement(try elementAddress(i, n, element: element, .write), element)
        }
        let source = vector(i.pointee.reg)
        for n in 0..<size / element where bits >> UInt32(n) & 1 != 0 {
            let linear = try elementAddress(i, n, element: element, .write)
            let value =
                element == 8
                ? source.load(fromByteOffset: n * 8, as: UInt64.self)
                : UInt64(source.load(fromByteOffset: n * 4, as: UInt32.self))
            try storePiece(linear, size: element, value: value)
        }
    }

    /// Raises what a store of `size` bytes would raise.
    private func checkElement(_ linear: UInt64, _ size: Int) throws(GuestFault) {
        if fastWritePointer(linear, size: size) == nil { try probe(linear, size: size, .write) }
    }

    /// MASKMOVQ and MASKMOVDQU: bytes of `data` whose mask byte has its highest bit set go to [DS:rDI].
    fileprivate func storeBytes(
        _ i: Instruction, data: UnsafeMutableRawPointer, mask: UnsafeMutableRawPointer, size: Int
    ) throws(GuestFault) {
        let base = self[.rdi]
        func address(_ n: Int) throws(GuestFault) -> UInt64 {
            let offset = (base &+ UInt64(n)) & i.pointee.address_mask
            return try linearAddress(offset, segment: i.pointee.segment, size: 1, .write)
        }
        func isSelected(_ n: Int) -> Bool { mask.load(fromByteOffset: n, as: UInt8.self) >= 0x80 }
        // The operand as a whole must be aligned (where that is checked) and writable, whichever bytes are selected, and if
        // none are: so AMD's CPUs have it, and the manuals allow it.
        let start = try linearAddress(base & i.pointee.address_mask, segment: i.pointee.segment, size: size, .write)
        if state.pointee.alignment_checks != 0 { try checkAlignment(start, size: 8) }
        try probe(start, size: size, .write)
        for n in 0..<size where isSelected(n) {
            try storePiece(try address(n), size: 1, value: UInt64(data.load(fromByteOffset: n, as: UInt8.self)))
        }
    }
}

private let maskedLoad32: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.maskedLoad(i, element: 4) }
}
private let maskedLoad64: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.maskedLoad(i, element: 8) }
}
private let maskedStore32: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.maskedStore(i, element: 4) }
}
private let maskedStore64: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in try cpu.maskedStore(i, element: 8) }
}

private let maskmovdqu: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.storeBytes(i, data: cpu.vector(i.pointee.reg), mask: cpu.vector(i.pointee.rm), size: 16)
    }
}

private let maskmovq: tz_handler = { state, i in
    execute(state) { cpu throws(GuestFault) in
        try cpu.passGates(i)
        try cpu.raisePendingX87Exception()
        // The x87 stack has changed even if the store faults.
        cpu.enterMMX()
        let data = cpu.x87Register(Int(i.pointee.reg & 7))
        let mask = cpu.x87Register(Int(i.pointee.rm & 7))
        try cpu.storeBytes(i, data: data, mask: mask, size: 8)
    }
}
