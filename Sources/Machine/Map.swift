// Where everything lies in the machine's port and guest-physical address spaces, and which interrupts it uses. The
// devices themselves never know; the wiring, the ACPI tables and the tests read it here.

/// Port ranges.
package enum PortMap {
    /// Primary 8259A.
    package static let primaryPIC: ClosedRange<UInt16> = 0x20...0x21
    /// Counters and control word of the 8254.
    package static let pit: ClosedRange<UInt16> = 0x40...0x43
    /// i8042: data.
    package static let keyboardData: ClosedRange<UInt16> = 0x60...0x60
    /// System control port B: gate and output of the 8254's counter 2.
    package static let systemControlB: ClosedRange<UInt16> = 0x61...0x61
    /// i8042: status and command.
    package static let keyboardCommand: ClosedRange<UInt16> = 0x64...0x64
    /// CMOS index and data.
    package static let cmos: ClosedRange<UInt16> = 0x70...0x71
    /// POST code, which software writes to pass a microsecond.
    package static let postCode: ClosedRange<UInt16> = 0x80...0x80
    /// System control port A: fast A20 and reset.
    package static let systemControlA: ClosedRange<UInt16> = 0x92...0x92
    /// Secondary 8259A.
    package static let secondaryPIC: ClosedRange<UInt16> = 0xa0...0xa1
    /// The test device's echo register and page flush; the debug console sits amid its second echo register.
    package static let testDevice: ClosedRange<UInt16> = 0xe0...0xeb
    /// Debug console.
    package static let debugConsole: ClosedRange<UInt16> = 0xe9...0xe9
    /// Exit port.
    package static let exit: ClosedRange<UInt16> = 0xf4...0xf7
    /// CRT controller: index and data.
    package static let crtController: ClosedRange<UInt16> = 0x3d4...0x3d5
    /// First serial port.
    package static let com1: ClosedRange<UInt16> = 0x3f8...0x3ff
    /// Edge/level control registers of the 8259A pair.
    package static let edgeLevel: ClosedRange<UInt16> = 0x4d0...0x4d1
    /// pvpanic.
    package static let pvpanic: ClosedRange<UInt16> = 0x505...0x505
    /// fw_cfg: selector and data.
    package static let firmwareConfiguration: ClosedRange<UInt16> = 0x510...0x511
    /// ACPI PM1a event block (0x600), PM1a control block (0x604) and PM timer (0x608).
    package static let powerManagement: ClosedRange<UInt16> = 0x600...0x60b
    /// PCI configuration address.
    package static let pciAddress: ClosedRange<UInt16> = 0xcf8...0xcfb
    /// Reset control register.
    package static let resetControl: ClosedRange<UInt16> = 0xcf9...0xcf9
    /// PCI configuration data.
    package static let pciData: ClosedRange<UInt16> = 0xcfc...0xcff
    /// The test device's interrupt lines.
    package static let testDeviceLines: ClosedRange<UInt16> = 0x2000...0x2017
    /// First port of the ACPI PM1a event block.
    package static let pm1Event: UInt16 = 0x600
    /// First port of the ACPI PM1a control block.
    package static let pm1Control: UInt16 = 0x604
    /// First port of the ACPI PM timer.
    package static let pmTimer: UInt16 = 0x608
}

/// Guest-physical addresses outside of memory.
package enum MMIOMap {
    /// First address of the window in which PCI BARs are placed.
    package static let pciWindow: UInt64 = 0xc000_0000
    /// Size of that window in bytes: up to the I/O APIC.
    package static let pciWindowSize: UInt64 = 0x3ec0_0000
    /// I/O APIC.
    package static let ioAPIC: UInt64 = 0xfec0_0000
    /// Bytes that the I/O APIC decodes.
    package static let ioAPICSize: UInt64 = 0x1000
    /// The test device's echo memory.
    package static let testDevice: UInt64 = 0xff00_0000
    /// Local APICs, after reset; also where messages go.
    package static let localAPIC: UInt64 = 0xfee0_0000
    /// The addresses from which messages are decoded.
    package static let localAPICSize: UInt64 = 0x10_0000
}

/// ISA interrupts and global system interrupts.
package enum InterruptMap {
    /// 8254, counter 0. Its I/O APIC pin is 2.
    package static let pit = 0
    /// First serial port.
    package static let com1 = 4
    /// CMOS clock.
    package static let rtc = 8
    /// ACPI's SCI: level-triggered.
    package static let sci = 9
    /// The I/O APIC pin of ISA interrupt 0; the MADT says so to the guest.
    package static let pitGSI = 2
    /// SLP_TYP of the soft-off state, which the DSDT's \_S5 gives to the guest.
    package static let softOffType: UInt16 = 5
}
