// The local APIC as its CPU sees it between instructions: what is pending, taking it, end of interrupt, and priorities
// (SDM volume 3, section 11.8).

import Synchronization

extension LocalAPIC {
    /// What the CPU should take if it accepts interrupts now. Costs a load and a comparison when nothing is pending.
    public func pendingInterrupt() -> PendingInterrupt? {
        let flags = inbox.flags.load(ordering: .acquiring)
        if flags != 0 {
            if flags & Inbox.mergeable != 0 { drain() }
            if flags & Inbox.lint0 != 0, core.pointee.passesINTR || flags & Inbox.extINT != 0 { return .external }
        }
        let vector = core.pointee.highestRequest
        return vector & 0xf0 > core.pointee.processorPriority & 0xf0 ? .fixed(vector) : nil
    }

    /// The CPU takes `vector`: from IRR to ISR.
    public func acknowledge(_ vector: UInt8) {
        guard page.contains(vector, in: APICRegister.interruptRequest) else { return }
        page.remove(vector, from: APICRegister.interruptRequest)
        page.insert(vector, in: APICRegister.inService)
        core.pointee.highestRequest = page.highest(in: APICRegister.interruptRequest)
        core.pointee.highestService = max(core.pointee.highestService, vector)
        updatePriority()
    }

    /// Takes a posted NMI.
    public func takeNMI() -> Bool { hasNMI && inbox.takeNMI() }

    /// While an NMI is being handled only one more can wait (SDM volume 3, section 6.7.1): a second one is lost.
    public func mergeNMIs() {
        if inbox.flags.load(ordering: .acquiring) & Inbox.secondNMI != 0 { _ = inbox.take(Inbox.secondNMI) }
    }

    /// Whether an NMI was posted and not taken.
    public var hasNMI: Bool { inbox.flags.load(ordering: .acquiring) & Inbox.nmi != 0 }

    /// Takes a posted INIT and resets this APIC as INIT does: all but its ID and IA32_APIC_BASE.
    public func takeINIT() -> Bool {
        guard take(Inbox.initialise) else { return false }
        drain()
        let id = page[APICRegister.id]
        resetRegisters()
        page[APICRegister.id] = id
        updateRouting()
        return true
    }

    /// Takes a posted startup IPI; its vector is the page at which to start. A CPU that does not wait for one drops it.
    public func takeSIPI() -> UInt8? {
        guard inbox.flags.load(ordering: .acquiring) & Inbox.startup != 0 else { return nil }
        let old = inbox.take(Inbox.startup | Inbox.startupVector)
        return old & Inbox.startup != 0 ? UInt8(old >> 8 & 0xff) : nil
    }

    private func take(_ flag: UInt32) -> Bool {
        guard inbox.flags.load(ordering: .acquiring) & flag != 0 else { return false }
        return inbox.take(flag) & flag != 0
    }

    /// The task-priority register; CR8 is its upper four bits.
    public var taskPriority: UInt8 {
        get { UInt8(truncatingIfNeeded: page[APICRegister.taskPriority]) }
        set {
            page[APICRegister.taskPriority] = UInt32(newValue)
            updatePriority()
            alertIfDeliverable()
        }
    }

    // MARK: Inside

    /// Moves the inbox into the registers.
    func drain() {
        let taken = inbox.take(Inbox.mergeable) & Inbox.mergeable
        guard taken != 0 else { return }
        if taken & Inbox.vectors != 0 {
            for word in 0..<4 {
                let (posted, level) = inbox.takeVectors(word: word)
                guard posted != 0 else { continue }
                for half in 0..<2 {
                    let bits = UInt32(truncatingIfNeeded: posted >> UInt64(half * 32))
                    let levels = UInt32(truncatingIfNeeded: level >> UInt64(half * 32))
                    let index = word * 2 + half
                    page[APICRegister.interruptRequest + index] |= bits
                    let modes = page[APICRegister.triggerMode + index]
                    page[APICRegister.triggerMode + index] = modes & ~bits | levels
                }
            }
            core.pointee.highestRequest = page.highest(in: APICRegister.interruptRequest)
        }
        if taken & Inbox.timer != 0 { timerExpired() }
        if taken & Inbox.illegalVector != 0 { report(APICError.receivedIllegalVector) }
        if taken & Inbox.lint0Edge != 0 { lint0Rose() }
    }

    /// Requests a vector of this APIC's own.
    func request(_ vector: UInt8, levelTriggered: Bool = false) {
        guard vector >= 16 else { return report(APICError.receivedIllegalVector) }
        page.insert(vector, in: APICRegister.interruptRequest)
        if levelTriggered {
            page.insert(vector, in: APICRegister.triggerMode)
        } else {
            page.remove(vector, from: APICRegister.triggerMode)
        }
        core.pointee.highestRequest = max(core.pointee.highestRequest, vector)
    }

    /// An error was detected: noted for ESR, and told through the LVT error entry (SDM volume 3, section 11.5.3).
    func report(_ error: UInt8) {
        guard core.pointee.pendingErrors & error == 0 else { return }
        core.pointee.pendingErrors |= error
        let entry = page[APICRegister.lvtError]
        if entry & LVT.masked == 0 { request(UInt8(truncatingIfNeeded: entry)) }
    }

    /// A write of EOI (SDM volume 3, section 11.8.5).
    func signalEOI() {
        let vector = core.pointee.highestService
        guard vector != 0 else { return }
        page.remove(vector, from: APICRegister.inService)
        core.pointee.highestService = page.highest(in: APICRegister.inService)
        updatePriority()
        if page.contains(vector, in: APICRegister.triggerMode) {
            if UInt8(truncatingIfNeeded: page[APICRegister.lvtLINT0]) == vector {
                page[APICRegister.lvtLINT0] &= ~LVT.remoteIRR
                sampleLINT0()
            }
            endOfInterrupt(vector)
        }
        alertIfDeliverable()
    }

    /// PPR from TPR and ISR (SDM volume 3, section 11.8.3.1).
    func updatePriority() {
        let task = UInt8(truncatingIfNeeded: page[APICRegister.taskPriority])
        let service = core.pointee.highestService & 0xf0
        core.pointee.processorPriority = task & 0xf0 >= service ? task : service
    }

    /// Tells the CPU if this thread's own doing has made an interrupt deliverable.
    func alertIfDeliverable() {
        if pendingInterrupt() != nil { attention() }
    }

    // MARK: LINT0

    /// The pin's rising edge, by the entry's delivery mode.
    private func lint0Rose() {
        let entry = page[APICRegister.lvtLINT0]
        guard core.pointee.base & BaseMSR.enable != 0, entry & LVT.masked == 0 else { return }
        switch DeliveryMode(rawValue: UInt8(entry >> 8 & 7)) {
        case .fixed where entry & LVT.levelTriggered == 0: request(UInt8(truncatingIfNeeded: entry))
        case .fixed: sampleLINT0()
        case .nmi: inbox.postNMI()
        case .initialise: inbox.postINIT()
        default: break  // ExtINT looks at the level; SMI is not offered
        }
    }

    /// A level-triggered fixed LINT0 requests its vector while the pin is high and the last request has had its EOI.
    func sampleLINT0() {
        let entry = page[APICRegister.lvtLINT0]
        let blocking = LVT.masked | LVT.remoteIRR | 7 << 8
        guard entry & (blocking | LVT.levelTriggered) == LVT.levelTriggered,
            inbox.flags.load(ordering: .acquiring) & Inbox.lint0 != 0
        else { return }
        page[APICRegister.lvtLINT0] |= LVT.remoteIRR
        request(UInt8(truncatingIfNeeded: entry), levelTriggered: true)
    }
}
