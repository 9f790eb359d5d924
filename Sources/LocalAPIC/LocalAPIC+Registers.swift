// The local APIC's registers as the guest reads and writes them: through the MMIO page in xAPIC mode, through MSRs
// 0x800…0x83f in x2APIC mode (SDM volume 3, sections 11.4.1 and 11.12.1).

extension LocalAPIC {
    // MARK: xAPIC

    /// Reads a 32-bit register at a byte offset into the page. Offsets between registers read as 0.
    public func readRegister(offset: UInt32) -> UInt32 {
        guard offset & 0xf == 0, offset < 0x400 else { return 0 }
        let index = Int(offset >> 4)
        guard let value = read(index) else {
            // EOI is write-only, which is no error here.
            if index != APICRegister.endOfInterrupt { illegalRegister() }
            return 0
        }
        return value
    }

    /// Writes a 32-bit register at a byte offset into the page. Reserved bits are ignored.
    public func writeRegister(offset: UInt32, value: UInt32) {
        guard offset & 0xf == 0, offset < 0x400 else { return }
        drain()
        let index = Int(offset >> 4)
        switch index {
        case APICRegister.version, APICRegister.arbitrationPriority, APICRegister.processorPriority,
            APICRegister.inService..<APICRegister.errorStatus, APICRegister.currentCount:
            return  // read-only
        case APICRegister.id, APICRegister.logicalDestination:
            page[index] = value & 0xff00_0000
            updateRouting()
        case APICRegister.destinationFormat:
            page[index] = value | 0x0fff_ffff
            updateRouting()
        case APICRegister.commandHigh:
            page[index] = value & 0xff00_0000
        case APICRegister.commandLow:
            page[index] = value & 0x000c_cfff
            send(ICR(low: page[index], destination: page[APICRegister.commandHigh] >> 24, x2APIC: false))
        default:
            guard write(index, value) else { return illegalRegister() }
        }
        alertIfDeliverable()
    }

    // MARK: x2APIC

    /// Reads an x2APIC MSR, 0x800…0x83f; nil is #GP.
    public func readMSR(_ msr: UInt32) -> UInt64? {
        guard core.pointee.base & BaseMSR.x2APIC != 0, msr >= 0x800, msr <= 0x83f else { return nil }
        let index = Int(msr - 0x800)
        switch index {
        case APICRegister.id: return UInt64(core.pointee.id)
        case APICRegister.commandLow: return UInt64(page[index]) | UInt64(page[APICRegister.commandHigh]) << 32
        case APICRegister.commandHigh, APICRegister.destinationFormat, APICRegister.arbitrationPriority: return nil
        default: return read(index).map(UInt64.init)
        }
    }

    /// Writes an x2APIC MSR, 0x800…0x83f; false is #GP: a register that is read-only or not there, or a reserved bit.
    public func writeMSR(_ msr: UInt32, _ value: UInt64) -> Bool {
        guard core.pointee.base & BaseMSR.x2APIC != 0, msr >= 0x800, msr <= 0x83f else { return false }
        let index = Int(msr - 0x800)
        guard let writable = Self.x2APICWritable(index), value & ~writable == 0 else { return false }
        drain()
        let low = UInt32(truncatingIfNeeded: value)
        switch index {
        case APICRegister.commandLow:
            page[index] = low
            page[APICRegister.commandHigh] = UInt32(truncatingIfNeeded: value >> 32)
            send(ICR(low: low, destination: page[APICRegister.commandHigh], x2APIC: true))
        case APICRegister.selfIPI:
            send(ICR(low: low | ICR.Shorthand.toSelf.rawValue << 18, destination: 0, x2APIC: true))
        default:
            _ = write(index, low)
        }
        alertIfDeliverable()
        return true
    }

    /// The bits that a WRMSR may set; nil if the register cannot be written.
    private static func x2APICWritable(_ index: Int) -> UInt64? {
        switch index {
        case APICRegister.taskPriority, APICRegister.selfIPI: return 0xff
        case APICRegister.endOfInterrupt, APICRegister.errorStatus: return 0
        case APICRegister.spurious: return 0x3ff
        case APICRegister.commandLow: return 0xffff_ffff_000c_cfff
        case APICRegister.initialCount: return 0xffff_ffff
        case APICRegister.divide: return 0xb
        default: return LVT.writable(index).map { UInt64($0 | LVT.readOnly) }
        }
    }

    // MARK: Both modes

    /// A register's value; nil if there is none to read.
    private func read(_ index: Int) -> UInt32? {
        drain()
        switch index {
        case APICRegister.id, APICRegister.version, APICRegister.taskPriority, APICRegister.logicalDestination,
            APICRegister.destinationFormat, APICRegister.spurious,
            APICRegister.inService..<APICRegister.errorStatus, APICRegister.errorStatus,
            APICRegister.commandLow...APICRegister.initialCount, APICRegister.divide:
            return page[index]
        case APICRegister.processorPriority: return UInt32(core.pointee.processorPriority)
        case APICRegister.arbitrationPriority:
            // As on CPUs that arbitrate otherwise: the highest of what keeps or will keep the CPU busy.
            return UInt32(max(core.pointee.processorPriority, core.pointee.highestRequest & 0xf0))
        case APICRegister.currentCount: return currentCount()
        default: return nil
        }
    }

    /// Writes a register that behaves alike in both modes; false if there is none.
    private func write(_ index: Int, _ value: UInt32) -> Bool {
        switch index {
        case APICRegister.taskPriority:
            page[index] = value & 0xff
            updatePriority()
        case APICRegister.endOfInterrupt:
            signalEOI()
        case APICRegister.spurious:
            page[index] = value & 0x3ff
            if value & 0x100 == 0 {
                // Software disable masks every entry (SDM volume 3, section 11.4.7.2).
                for entry in APICRegister.lvtTimer...APICRegister.lvtError { page[entry] |= LVT.masked }
            }
            updateRouting()
        case APICRegister.errorStatus:
            page[index] = UInt32(core.pointee.pendingErrors)
            core.pointee.pendingErrors = 0
        case APICRegister.initialCount:
            setInitialCount(value)
        case APICRegister.divide:
            setDivide(value & 0xb)
        default:
            guard let writable = LVT.writable(index) else { return false }
            writeLVT(index, value & writable | page[index] & LVT.readOnly)
        }
        return true
    }

    /// Writes a local vector table entry; a software-disabled APIC keeps it masked.
    private func writeLVT(_ index: Int, _ value: UInt32) {
        var entry = value
        if page[APICRegister.spurious] & 0x100 == 0 { entry |= LVT.masked }
        let old = page[index]
        page[index] = entry
        switch index {
        case APICRegister.lvtTimer: timerEntryChanged(from: old)
        case APICRegister.lvtLINT0:
            if entry & LVT.levelTriggered == 0 { page[index] &= ~LVT.remoteIRR }
            updateRouting()
            sampleLINT0()
        default: break
        }
    }

    private func illegalRegister() {
        report(APICError.illegalRegister)
        alertIfDeliverable()
    }

    /// Sends an IPI (SDM volume 3, section 11.6.1).
    private func send(_ icr: ICR) {
        switch icr.deliveryMode {
        case .fixed, .lowestPriority:
            guard icr.vector >= 16 else { return report(APICError.sendIllegalVector) }
        case .nmi, .initialise, .startup:
            break
        case .smi, .extINT, nil:
            return  // reserved in the ICR, or not offered
        }
        if icr.shorthand == .toSelf {
            guard icr.deliveryMode == .fixed, page[APICRegister.spurious] & 0x100 != 0 else { return }
            request(icr.vector)
        } else if let sendIPI {
            _ = sendIPI(icr)
        } else {
            Self.route(icr, from: self, among: [self])
        }
    }
}
