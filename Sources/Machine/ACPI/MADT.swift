// The MADT (ACPI 6.5, section 5.2.12): the local APICs, the I/O APIC, and how ISA interrupts reach it.

extension ByteWriter {
    private enum Entry {
        static let localAPIC: UInt8 = 0
        static let ioAPIC: UInt8 = 1
        static let sourceOverride: UInt8 = 2
        static let localAPICNMI: UInt8 = 4
        static let localX2APIC: UInt8 = 9
        static let localX2APICNMI: UInt8 = 10

        /// The machine also has a pair of 8259As.
        static let pcatCompatible: UInt32 = 1
        static let enabled: UInt32 = 1
        /// MPS INTI flags: as the bus has it (for ISA active high, edge), and active high, level.
        static let asTheBus: UInt16 = 0
        static let activeHighLevel: UInt16 = 0x000d
        /// The bus of source overrides.
        static let isa: UInt8 = 0
    }

    /// The first ID that a local APIC entry of eight bits cannot have: 255 is the broadcast.
    package static let firstX2APICID = 255

    /// The MADT of a machine whose processors have the local APIC IDs from 0 on, and the same UIDs.
    package static func madt(processors: Int) -> [UInt8] {
        var body = ByteWriter()
        body.append(UInt32(PCMemory.localAPIC.lowerBound))
        body.append(Entry.pcatCompatible)
        for id in 0..<processors {
            if id < firstX2APICID {
                body.append([Entry.localAPIC, 8, UInt8(id), UInt8(id)])
                body.append(Entry.enabled)
            } else {
                body.append([Entry.localX2APIC, 16, 0, 0])
                body.append(UInt32(id))
                body.append(Entry.enabled)
                body.append(UInt32(id))
            }
        }
        body.append([Entry.ioAPIC, 12, PlatformResources.ioAPICID, 0])
        body.append(UInt32(PCMemory.ioAPIC.lowerBound))
        body.append(UInt32(0))  // global system interrupt base
        body.appendOverride(irq: 0, pin: PlatformResources.timerPin, flags: Entry.asTheBus)
        body.appendOverride(irq: PlatformResources.sciIRQ, pin: PlatformResources.sciIRQ, flags: Entry.activeHighLevel)
        // LINT1 of all processors is NMI.
        body.append([Entry.localAPICNMI, 6, 0xff])
        body.append(Entry.asTheBus)
        body.append(UInt8(1))
        if processors > firstX2APICID {
            body.append([Entry.localX2APICNMI, 12])
            body.append(Entry.asTheBus)
            body.append(UInt32.max)
            body.append([1, 0, 0, 0])
        }
        return acpiTable("APIC", revision: 5, body.bytes)
    }

    private mutating func appendOverride(irq: Int, pin: Int, flags: UInt16) {
        append([Entry.sourceOverride, 10, Entry.isa, UInt8(irq)])
        append(UInt32(pin))
        append(flags)
    }
}
