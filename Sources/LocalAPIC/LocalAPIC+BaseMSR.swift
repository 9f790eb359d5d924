// IA32_APIC_BASE: where the register page lies, and the transitions between disabled, xAPIC and x2APIC mode (SDM
// volume 3, sections 11.4.4 and 11.12.5).

import Synchronization

/// Bits of IA32_APIC_BASE.
enum BaseMSR {
    static let bootstrap: UInt64 = 1 << 8
    static let x2APIC: UInt64 = 1 << 10
    static let enable: UInt64 = 1 << 11
    /// Reserved whatever the CPU's physical-address width.
    static let invalid: UInt64 = 0xfff0_0000_0000_02ff
}

extension LocalAPIC {
    /// IA32_APIC_BASE.
    public var baseMSR: UInt64 { core.pointee.base }

    /// Guest-physical address of the register page; nil when disabled or in x2APIC mode.
    public var mmioBase: UInt64? {
        let mode = core.pointee.base & (BaseMSR.enable | BaseMSR.x2APIC)
        return mode == BaseMSR.enable ? core.pointee.base & ~0xfff : nil
    }

    /// Writes IA32_APIC_BASE; false is #GP: a reserved bit, or a transition that does not exist. Bits above the CPU's
    /// physical-address width are the caller's to refuse.
    public func setBaseMSR(_ value: UInt64) -> Bool {
        let mode = BaseMSR.enable | BaseMSR.x2APIC
        guard value & BaseMSR.invalid == 0 else { return false }
        let (old, new) = (core.pointee.base & mode, value & mode)
        // x2APIC without enable is no mode; x2APIC mode is entered from xAPIC mode and left through disabled only.
        guard new != BaseMSR.x2APIC, !(old == 0 && new == mode), !(old == mode && new == BaseMSR.enable) else {
            return false
        }
        core.pointee.base = value
        guard old != new else { return true }
        if new == 0 {
            drain()
            resetRegisters()
        } else if new == mode {
            // The logical ID follows from the ID (SDM volume 3, section 11.12.10.2); ICR's destination starts anew.
            let id = core.pointee.id
            page[APICRegister.id] = id << 24
            page[APICRegister.logicalDestination] = (id >> 4) << 16 | 1 << (id & 0xf)
            page[APICRegister.commandHigh] = 0
        }
        updateRouting()
        alertIfDeliverable()
        return true
    }

    /// Publishes who this APIC is to senders on other threads, and notes whether INTR passes LINT0.
    func updateRouting() {
        let enabled = core.pointee.base & BaseMSR.enable != 0
        // In xAPIC mode software may have given this APIC another ID (SDM volume 3, section 11.4.6).
        var word = UInt64(mmioBase == nil ? core.pointee.id : page[APICRegister.id] >> 24)
        if enabled {
            word |= Routing.enabled
            if core.pointee.base & BaseMSR.x2APIC != 0 { word |= Routing.x2APIC }
            if page[APICRegister.destinationFormat] >> 28 == 0xf { word |= Routing.flat }
            if page[APICRegister.spurious] & 0x100 != 0 { word |= Routing.softwareEnabled }
        }
        routingLogical.store(page[APICRegister.logicalDestination], ordering: .relaxed)
        routing.store(word, ordering: .releasing)
        // A disabled APIC is as if absent: its pins are the CPU's INTR and NMI (SDM volume 3, section 11.4.3).
        let entry = page[APICRegister.lvtLINT0]
        core.pointee.passesINTR =
            !enabled || entry & (LVT.masked | 7 << 8) == UInt32(DeliveryMode.extINT.rawValue) << 8
    }
}
