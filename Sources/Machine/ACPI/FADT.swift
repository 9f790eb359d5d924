// The FADT and the FACS (ACPI 6.5, sections 5.2.9 and 5.2.10): the fixed hardware of ACPI.

extension ByteWriter {
    /// Offsets in the FADT.
    private enum FADT {
        static let facs = 36
        static let dsdt = 40
        static let sciInterrupt = 46
        static let pm1aEventBlock = 56
        static let pm1aControlBlock = 64
        static let pmTimerBlock = 76
        static let pm1EventLength = 88
        static let pm1ControlLength = 89
        static let pmTimerLength = 91
        static let c2Latency = 96
        static let c3Latency = 98
        static let century = 108
        static let bootArchitecture = 109
        static let flags = 112
        static let resetRegister = 116
        static let resetValue = 128
        static let minorRevision = 131
        static let xDSDT = 140
        static let xPM1aEventBlock = 148
        static let xPM1aControlBlock = 172
        static let xPMTimerBlock = 208
        static let hypervisorVendor = 268
        static let size = 276

        /// Latencies from which on the states count as missing.
        static let noC2: UInt16 = 101
        static let noC3: UInt16 = 1001

        /// WBINVD works, all processors have C1, no sleep button, no RTC wake in the fixed registers, a 32-bit timer, the
        /// reset register is there. The power button is the fixed one (PWR_BUTTON is clear).
        static let features: UInt32 = 1 << 0 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 8 | 1 << 10
        /// Devices on an ISA bus, no VGA. The i8042 is only a reset line: it does not count (bit 1 is clear).
        static let pcArchitecture: UInt16 = 1 << 0 | 1 << 2
    }

    /// The FADT, revision 6.5, of ACPI hardware that is enabled from the start (there is no SMI command port).
    package static func fadt(facs: UInt64, dsdt: UInt64) -> [UInt8] {
        var table = ByteWriter(count: FADT.size)
        func put<T: FixedWidthInteger>(_ value: T, _ offset: Int) { table.put(value, at: offset) }
        put(UInt32(truncatingIfNeeded: facs), FADT.facs)
        put(UInt32(truncatingIfNeeded: dsdt), FADT.dsdt)
        put(UInt16(PlatformResources.sciIRQ), FADT.sciInterrupt)
        put(UInt32(PlatformResources.pm1aEventPort), FADT.pm1aEventBlock)
        put(UInt32(PlatformResources.pm1aControlPort), FADT.pm1aControlBlock)
        put(UInt32(PlatformResources.pmTimerPort), FADT.pmTimerBlock)
        put(UInt8(4), FADT.pm1EventLength)
        put(UInt8(2), FADT.pm1ControlLength)
        put(UInt8(4), FADT.pmTimerLength)
        put(FADT.noC2, FADT.c2Latency)
        put(FADT.noC3, FADT.c3Latency)
        put(PlatformResources.rtcCentury, FADT.century)
        put(FADT.pcArchitecture, FADT.bootArchitecture)
        put(FADT.features, FADT.flags)
        put(PlatformResources.resetValue, FADT.resetValue)
        put(UInt8(5), FADT.minorRevision)
        put(dsdt, FADT.xDSDT)
        table.putPort(PlatformResources.resetPort, bits: 8, at: FADT.resetRegister)
        table.putPort(PlatformResources.pm1aEventPort, bits: 32, at: FADT.xPM1aEventBlock)
        table.putPort(PlatformResources.pm1aControlPort, bits: 16, at: FADT.xPM1aControlBlock)
        table.putPort(PlatformResources.pmTimerPort, bits: 32, at: FADT.xPMTimerBlock)
        table.put(Array(ACPIIdentity.table.utf8)[...], at: FADT.hypervisorVendor)
        return acpiTable("FACP", revision: 6, Array(table.bytes[ACPIHeader.size...]))
    }

    /// A generic address structure in I/O space (section 5.2.3.2), accessed by its natural size but for 32-bit pairs of
    /// registers, which are accessed as 16 bits.
    private mutating func putPort(_ port: UInt16, bits: UInt8, at offset: Int) {
        let ioSpace: UInt8 = 1
        let pair = port == PlatformResources.pm1aEventPort
        let access: UInt8 = bits == 8 ? 1 : bits == 16 || pair ? 2 : 3
        put([ioSpace, bits, 0, access], at: offset)
        put(UInt64(port), at: offset + 4)
    }

    /// The FACS, version 2: 64 bytes with a signature and a length but no checksum, on a 64-byte boundary.
    package static func facs() -> [UInt8] {
        var table = ByteWriter()
        table.append(text: "FACS", width: 4)
        table.append(UInt32(64))
        table.pad(to: 32)
        table.append(UInt8(2))
        table.pad(to: 64)
        return table.bytes
    }
}
