// What a BIOS leaves behind for interrupts in real-address mode: the interrupt vector table, and handlers that count timer
// ticks, end what hardware has requested, and return from everything else. Multiboot kernels may count on it: their loader
// leaves the machine "in normal working order" (Multiboot Specification 0.6.96, section 3.2).

import Memory

/// Vectors and handlers of a BIOS.
package enum FirmwareInterrupts {
    /// The vector of ISA interrupt 0.
    package static let primaryBase: UInt8 = 0x08
    /// The vector of ISA interrupt 8.
    package static let secondaryBase: UInt8 = 0x70
    /// The BIOS data area's count of timer ticks.
    package static let tickCount: UInt64 = 0x46c

    /// The handlers lie behind the tables in the BIOS area, in segment F000H.
    fileprivate static let segment: UInt32 = 0xf000
    fileprivate static let offset: UInt32 = 0xfe00

    // iret
    fileprivate static let ignore: [UInt8] = [0xcf]
    // push ax; mov al, 20h; out 20h, al; pop ax; iret
    fileprivate static let endPrimary: [UInt8] = [0x50, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0xcf]
    // push ax; mov al, 20h; out 0a0h, al; out 20h, al; pop ax; iret
    fileprivate static let endSecondary: [UInt8] = [0x50, 0xb0, 0x20, 0xe6, 0xa0, 0xe6, 0x20, 0x58, 0xcf]
    // push ds; push ax; xor ax, ax; mov ds, ax; inc dword [46ch]; mov al, 20h; out 20h, al; pop ax; pop ds; iret
    fileprivate static let tick: [UInt8] = [
        0x1e, 0x50, 0x31, 0xc0, 0x8e, 0xd8, 0x66, 0xff, 0x06, 0x6c, 0x04, 0xb0, 0x20, 0xe6, 0x20, 0x58, 0x1f, 0xcf,
    ]
}

extension BootContext {
    /// Writes the handlers and the interrupt vector table.
    package func placeInterruptHandlers() throws(BootError) {
        typealias Firmware = FirmwareInterrupts
        var code: [UInt8] = []
        var table = [UInt32](repeating: 0, count: 256)
        func handle(_ vectors: some Sequence<Int>, by handler: [UInt8]) {
            let entry = Firmware.segment << 16 | (Firmware.offset + UInt32(code.count))
            for vector in vectors { table[vector] = entry }
            code += handler
        }
        let (primary, secondary) = (Int(Firmware.primaryBase), Int(Firmware.secondaryBase))
        handle(0..<256, by: Firmware.ignore)
        handle(primary..<primary + 1, by: Firmware.tick)
        handle(primary + 1..<primary + 8, by: Firmware.endPrimary)
        handle(secondary..<secondary + 8, by: Firmware.endSecondary)
        try write(code, at: UInt64(Firmware.segment << 4 + Firmware.offset))
        var bytes = ByteWriter()
        for entry in table { bytes.append(entry) }
        try write(bytes.bytes, at: 0)
    }
}
