// The DSDT: the devices of the machine that cannot be found by asking the hardware, and how to turn it off.

extension AML {
    /// The contents of the definition block for a machine with so many processors.
    package static func definitionBlock(processors: Int) -> [AML] {
        let s5 = AML.integer(UInt64(PlatformResources.sleepTypeS5))
        return [
            .name("\\_S5_", .package([s5, s5, .integer(0), .integer(0)])),
            .scope("\\_SB_", (0..<processors).map(processor) + [.device("PCI0", hostBridge + isaDevices)]),
        ]
    }

    /// A processor, tied to its MADT entry by `_UID`.
    private static func processor(_ index: Int) -> AML {
        let digits = String(index, radix: 16, uppercase: true)
        let name = "C" + String(repeating: "0", count: max(0, 3 - digits.count)) + digits
        return .device(name, [.name("_HID", .string("ACPI0007")), .name("_UID", .integer(UInt64(index)))])
    }

    /// The PCI host bridge. There is no `_PRT`: no device behind it has an interrupt pin.
    private static var hostBridge: [AML] {
        [
            .name("_HID", .eisaID("PNP0A03")),
            .name("_UID", .integer(0)),
            .currentResources([
                .busNumbers(0...0xff),
                .ports(PlatformResources.pciConfigPort, count: 8),
                .portWindow(0...PlatformResources.pciConfigPort - 1),
                .portWindow(PlatformResources.pciConfigPort + 8...0xffff),
                .memoryWindow(PlatformResources.pciMemory),
            ]),
        ]
    }

    private static var isaDevices: [AML] {
        [
            .device(
                "COM1",
                [
                    .name("_HID", .eisaID("PNP0501")), .name("_UID", .integer(1)),
                    .currentResources([
                        .ports(PlatformResources.com1Port, count: 8), .irq(PlatformResources.com1IRQ),
                    ]),
                ]),
            .device(
                "RTC_",
                [
                    .name("_HID", .eisaID("PNP0B00")),
                    .currentResources([
                        .ports(PlatformResources.rtcPort, count: 2), .irq(PlatformResources.rtcIRQ),
                    ]),
                ]),
            .device(
                "PEVT",
                [
                    .name("_HID", .string("QEMU0001")),
                    .currentResources([.ports(PlatformResources.pvpanicPort, count: 1)]),
                ]),
            // Only kept from being given to PCI devices: no driver is meant for it.
            .device(
                "TEST",
                [
                    .name("_HID", .eisaID("PNP0C02")),
                    .currentResources(PlatformResources.testDevicePorts.map { .ports($0.first, count: $0.count) }),
                ]),
        ]
    }
}
