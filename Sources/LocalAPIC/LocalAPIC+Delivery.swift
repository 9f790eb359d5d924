// How interrupts reach a local APIC from elsewhere: pins, messages and IPIs, who they are for, and the inbox they wait
// in. Everything here may be called from any thread.

import Synchronization

/// Flags above the ID in `LocalAPIC.routing`.
enum Routing {
    /// IA32_APIC_BASE.EN.
    static let enabled: UInt64 = 1 << 32
    static let x2APIC: UInt64 = 1 << 33
    /// DFR selects the flat model.
    static let flat: UInt64 = 1 << 34
    /// SVR bit 8.
    static let softwareEnabled: UInt64 = 1 << 35
}

extension LocalAPIC {
    /// Level of the LINT0 pin (the PIC pair's INTR). Any thread.
    public func setLINT0(_ asserted: Bool) {
        inbox.setLINT0(asserted)
        if asserted { attention() }
    }

    /// Takes a message (MSI, I/O APIC) if it is addressed to this APIC. Any thread. Where a message wants only one of
    /// several CPUs, `route(msiAddress:data:among:)` chooses it.
    public func accept(msiAddress: UInt64, data: UInt32) -> Bool {
        guard let message = InterruptMessage(msiAddress: msiAddress, data: data) else { return false }
        return matches(message) && deliver(message)
    }

    /// Posts a fixed interrupt. Any thread. A software-disabled APIC does not take it.
    @discardableResult public func post(vector: UInt8, levelTriggered: Bool) -> Bool {
        guard routing.load(ordering: .acquiring) & Routing.softwareEnabled != 0 else { return false }
        if vector < 16 {
            inbox.raise(Inbox.illegalVector)
        } else {
            inbox.post(vector, levelTriggered: levelTriggered)
        }
        attention()
        return true
    }

    /// Posts a non-maskable interrupt. Any thread.
    public func postNMI() {
        inbox.postNMI()
        attention()
    }

    /// Sends what the low half of an ICR says to the APIC of one ID, without a write to the ICR; whether it took it.
    public func send(_ command: UInt32, to id: UInt32) -> Bool {
        let icr = ICR(low: command, destination: id, x2APIC: true)
        switch icr.deliveryMode {
        case .fixed where icr.vector >= 16, .nmi: return sendIPI?(icr) ?? false
        default: return false
        }
    }

    /// Whether a message is addressed to this APIC. Any thread.
    public func matches(_ message: InterruptMessage) -> Bool {
        matches(destination: message.destination, logical: message.logical)
    }

    /// Whether a destination means this APIC (SDM volume 3, sections 11.6.2 and 11.12.10). Any thread.
    public func matches(destination: UInt32, logical: Bool) -> Bool {
        let word = routing.load(ordering: .acquiring)
        guard word & Routing.enabled != 0 else { return false }
        if destination == InterruptMessage.broadcast { return true }
        if !logical { return destination == UInt32(truncatingIfNeeded: word) }
        let own = routingLogical.load(ordering: .relaxed)
        if word & Routing.x2APIC != 0 {
            return destination >> 16 == own >> 16 && destination & own & 0xffff != 0
        }
        guard destination < 0x100 else { return false }
        if word & Routing.flat != 0 { return destination & own >> 24 != 0 }
        return destination >> 4 == own >> 28 && destination & own >> 24 & 0xf != 0
    }

    /// Takes a message in, without asking whom it addresses; false if this APIC cannot. Any thread.
    public func deliver(_ message: InterruptMessage) -> Bool {
        guard routing.load(ordering: .acquiring) & Routing.enabled != 0, let mode = message.mode else { return false }
        guard message.asserted else { return true }
        switch mode {
        case .fixed, .lowestPriority: return post(vector: message.vector, levelTriggered: message.levelTriggered)
        case .nmi: inbox.postNMI()
        case .initialise: inbox.postINIT()
        case .startup: inbox.postSIPI(message.vector)
        case .extINT: inbox.raise(Inbox.extINT)
        case .smi: return true
        }
        attention()
        return true
    }

    // MARK: Several APICs

    /// Delivers an MSI to those of `apics` that it addresses; true if one took it. Any thread.
    public static func route(
        msiAddress: UInt64, data: UInt32, among apics: [LocalAPIC]
    ) -> Bool {
        guard let message = InterruptMessage(msiAddress: msiAddress, data: data) else { return false }
        return route(message, among: apics)
    }

    /// Delivers an IPI that the APIC `sender` has sent. Any thread.
    @discardableResult public static func route(
        _ icr: ICR, from sender: LocalAPIC, among apics: [LocalAPIC]
    ) -> Bool {
        let message = InterruptMessage(icr)
        var accepted = false
        switch icr.shorthand {
        case .none: return route(message, among: apics)
        case .toSelf: return sender.deliver(message)
        case .allIncludingSelf: for apic in apics where apic.deliver(message) { accepted = true }
        case .allExcludingSelf: for apic in apics where apic !== sender && apic.deliver(message) { accepted = true }
        }
        return accepted
    }

    /// Delivers a message. Of several CPUs of which any one will do, the vector picks, so that the choice spreads over
    /// the CPUs and is the same in every run.
    private static func route(_ message: InterruptMessage, among apics: [LocalAPIC]) -> Bool {
        guard message.toAnyOne else {
            var accepted = false
            for apic in apics where apic.matches(message) && apic.deliver(message) { accepted = true }
            return accepted
        }
        let candidates = apics.filter {
            $0.matches(message) && $0.routing.load(ordering: .acquiring) & Routing.softwareEnabled != 0
        }
        guard !candidates.isEmpty else { return false }
        return candidates[Int(message.vector) % candidates.count].deliver(message)
    }
}
