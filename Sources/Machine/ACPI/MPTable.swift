// The tables of the MultiProcessor Specification 1.4 (chapter 4), for systems that know multiple processors and the
// I/O APIC but not ACPI.

extension ByteWriter {
    private enum Entry {
        static let processor: UInt8 = 0
        static let bus: UInt8 = 1
        static let ioAPIC: UInt8 = 2
        static let ioInterrupt: UInt8 = 3
        static let localInterrupt: UInt8 = 4

        static let vectored: UInt8 = 0
        static let nmi: UInt8 = 1
        static let externalInterrupt: UInt8 = 3

        static let enabled: UInt8 = 1 << 0
        static let bootstrap: UInt8 = 1 << 1
        static let allLocalAPICs: UInt8 = 0xff
        /// INTI flags: active high, level.
        static let activeHighLevel: UInt16 = 0x000d
    }

    private enum Header {
        static let size = 44
        static let length = 4
        static let checksum = 7
        static let entryCount = 34
        /// Specification 1.4.
        static let revision: UInt8 = 4
    }

    /// Family 6 with an FPU and an APIC: what is true of every CPU model here. CPUID has the rest.
    private static let cpuSignature: UInt32 = 0x600
    private static let cpuFeatures: UInt32 = 1 << 0 | 1 << 9

    /// The floating pointer structure (section 4.1): 16 bytes on a 16-byte boundary.
    package static func mpFloatingPointer(table: UInt64) -> [UInt8] {
        var pointer = ByteWriter()
        pointer.append(text: "_MP_", width: 4)
        pointer.append(UInt32(truncatingIfNeeded: table))
        pointer.append([1, Header.revision])
        pointer.pad(to: 16)
        pointer.setChecksum(at: 10)
        return pointer.bytes
    }

    /// The configuration table (section 4.2). Processors whose ID does not fit in eight bits are left out.
    package static func mpConfiguration(processors: Int) -> [UInt8] {
        var entries: [[UInt8]] = []
        for id in 0..<min(processors, firstX2APICID) {
            var entry = ByteWriter()
            let flags = Entry.enabled | (id == 0 ? Entry.bootstrap : 0)
            entry.append([Entry.processor, UInt8(id), PlatformResources.localAPICVersion, flags])
            entry.append(cpuSignature)
            entry.append(cpuFeatures)
            entry.pad(to: 20)
            entries.append(entry.bytes)
        }
        let isaBus: UInt8 = 0
        entries.append([Entry.bus, isaBus] + Array("ISA   ".utf8))
        var ioAPIC = ByteWriter()
        ioAPIC.append([
            Entry.ioAPIC, PlatformResources.ioAPICID, PlatformResources.ioAPICVersion, Entry.enabled,
        ])
        ioAPIC.append(UInt32(PCMemory.ioAPIC.lowerBound))
        entries.append(ioAPIC.bytes)
        // Interrupt 2 is the cascade of the second 8259A: its pin belongs to the timer.
        for irq in 0..<16 where irq != 2 {
            var entry = ByteWriter()
            entry.append([Entry.ioInterrupt, Entry.vectored])
            entry.append(irq == PlatformResources.sciIRQ ? Entry.activeHighLevel : 0)
            let pin = irq == 0 ? PlatformResources.timerPin : irq
            entry.append([isaBus, UInt8(irq), PlatformResources.ioAPICID, UInt8(pin)])
            entries.append(entry.bytes)
        }
        entries.append([Entry.localInterrupt, Entry.externalInterrupt, 0, 0, isaBus, 0, 0, 0])
        entries.append([Entry.localInterrupt, Entry.nmi, 0, 0, isaBus, 0, Entry.allLocalAPICs, 1])

        var table = ByteWriter()
        table.append(text: "PCMP", width: 4)
        table.append(UInt16(0))  // length, below
        table.append([Header.revision, 0])
        table.append(text: ACPIIdentity.oem, width: 8, fill: UInt8(ascii: " "))
        table.append(text: "PC", width: 12, fill: UInt8(ascii: " "))
        table.pad(to: Header.entryCount)
        table.append(UInt16(entries.count))
        table.append(UInt32(PCMemory.localAPIC.lowerBound))
        table.pad(to: Header.size)
        for entry in entries { table.append(entry) }
        table.put(UInt16(table.count), at: Header.length)
        table.setChecksum(at: Header.checksum)
        return table.bytes
    }
}
