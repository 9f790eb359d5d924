// The allow-list of encodings that run on the host CPU. Whatever is not in here never runs natively: adding an encoding
// means adding a line to one of the tables in this folder. The decoder asks `lookup` after prefixes and opcode bytes.

import CPrimitives

/// A row of `NativeTable`; 0 is none.
package typealias NativeRowIndex = UInt16

/// The parsed tables.
package struct NativeTable: @unchecked Sendable {
    // SAFETY: filled once by `init` and only read afterwards; the one instance lives for ever.
    package let rows: UnsafeMutablePointer<NativeRow>
    let count: Int
    private let heads: UnsafeMutablePointer<NativeRowIndex>

    /// The tables, parsed on first use.
    package static let shared = NativeTable(parsing: [x87, mmx, sse, sse2, sse3, sse4, crypto, avx, avx2, fma, bmi])

    /// The row for an encoding; nil where nothing may run natively (#UD unless somebody else knows the encoding).
    ///
    /// - Parameters:
    ///   - map: 0: one byte (x87, D8…DF), 1: 0F, 2: 0F 38, 3: 0F 3A.
    ///   - prefix: 0: none, 1: 66, 2: F3, 3: F2. F2 and F3 win over 66, the last of them over the other.
    ///   - modrm: the byte behind the opcode, whatever it is.
    static func lookup(
        map: UInt8, prefix: UInt8, vex: Bool, l: Bool, w: Bool, opcode: UInt8, modrm: UInt8
    ) -> NativeRowIndex? {
        guard map < 4, prefix < 4 else { return nil }
        // x87 instructions ignore 66, F2 and F3.
        var number = shared.heads[slot(vex: vex, map: map, prefix: map == 0 ? 0 : prefix, opcode: opcode)]
        while number != 0 {
            let row = shared.rows + Int(number)
            if row.pointee.matches(l: l, w: w, modrm: modrm) { return number }
            number = row.pointee.next
        }
        return nil
    }

    /// Whether a ModRM byte follows the opcode (all rows but VZEROUPPER and VZEROALL).
    static func hasModRM(_ row: NativeRowIndex) -> Bool { shared.rows[Int(row)].hasModRM }
    /// Whether an immediate byte ends the instruction.
    static func hasImmediate(_ row: NativeRowIndex) -> Bool { shared.rows[Int(row)].hasImmediate }

    /// Whether a VEX-encoded instruction of the table names operands that it must not: #UD.
    static func refuses(_ i: UnsafeMutablePointer<tz_instruction>) -> Bool {
        let row = shared.rows + Int(i.pointee.row)
        if row.pointee.vvvv.kind == .none, i.pointee.vvvv != 0 { return true }
        return row.pointee.special == .gather && !i.pointee.isGather
    }

    private static func slot(vex: Bool, map: UInt8, prefix: UInt8, opcode: UInt8) -> Int {
        Int(opcode) | Int(prefix) << 8 | Int(map) << 10 | (vex ? 1 << 12 : 0)
    }

    private init(parsing texts: [StaticString]) {
        let slots = 2 << 12
        let capacity = 2048
        let rows = UnsafeMutablePointer<NativeRow>.allocate(capacity: capacity)
        let heads = UnsafeMutablePointer<NativeRowIndex>.allocate(capacity: slots)
        heads.initialize(repeating: 0, count: slots)
        rows.initialize(to: NativeRow(name: UnsafeBufferPointer(start: nil, count: 0)))
        var count = 1
        for text in texts {
            var parser = NativeRowParser(text)
            while count < capacity, let row = parser.next() {
                (rows + count).initialize(to: row)
                let slot = Self.slot(vex: row.vex, map: row.map, prefix: row.prefix, opcode: row.opcode)
                if heads[slot] == 0 {
                    heads[slot] = NativeRowIndex(count)
                } else {
                    var last = Int(heads[slot])
                    while rows[last].next != 0 { last = Int(rows[last].next) }
                    rows[last].next = NativeRowIndex(count)
                }
                count += 1
            }
        }
        self.rows = rows
        self.heads = heads
        self.count = count
    }
}
