// The fixed resources of the machine as the firmware tables describe them: one place for every port, pin and address that
// a table names and a device answers to.

/// Ports, interrupts and windows of the PC that Trapeze presents.
public enum PlatformResources {
    /// First of the eight registers of COM1, a 16550A.
    public static let com1Port: UInt16 = 0x3f8
    /// ISA interrupt of COM1.
    public static let com1IRQ = 4
    /// Index and data port of the CMOS RTC.
    public static let rtcPort: UInt16 = 0x70
    /// ISA interrupt of the RTC.
    public static let rtcIRQ = 8
    /// The CMOS cell that holds the century.
    public static let rtcCentury: UInt8 = 0x32
    /// ACPI: PM1a event registers, status and enable, two bytes each.
    public static let pm1aEventPort: UInt16 = 0x600
    /// ACPI: PM1a control register, two bytes.
    public static let pm1aControlPort: UInt16 = 0x604
    /// ACPI: the 32-bit, 3.579545 MHz power management timer.
    public static let pmTimerPort: UInt16 = 0x608
    /// ISA interrupt, and global system interrupt, of ACPI's SCI: level-triggered, active high.
    public static let sciIRQ = 9
    /// SLP_TYP of the soft-off state S5.
    public static let sleepTypeS5: UInt8 = 5
    /// The reset control register.
    public static let resetPort: UInt16 = 0xcf9
    /// What written to `resetPort` resets the machine.
    public static let resetValue: UInt8 = 6
    /// The panic notification device.
    public static let pvpanicPort: UInt16 = 0x505
    /// The test device's echo registers and interrupt lines: first port and count of each.
    public static let testDevicePorts: [(first: UInt16, count: UInt8)] = [(0xe0, 12), (0x2000, 24)]
    /// PCI configuration: address and data ports, eight bytes together.
    public static let pciConfigPort: UInt16 = 0xcf8
    /// Guest-physical addresses for the memory of PCI devices.
    public static let pciMemory: ClosedRange<UInt32> = 0xc000_0000...0xfebf_ffff
    /// The I/O APIC's ID.
    public static let ioAPICID: UInt8 = 0
    /// The I/O APIC's pins.
    public static let ioAPICPins = 24
    /// The I/O APIC's version register, 7:0.
    public static let ioAPICVersion: UInt8 = 0x11
    /// The local APICs' version register, 7:0.
    public static let localAPICVersion: UInt8 = 0x14
    /// The I/O APIC pin of the interval timer, which is ISA interrupt 0.
    public static let timerPin = 2
}
