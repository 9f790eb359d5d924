// Interrupts on their way to the local APICs in the kernel: messages, the PIC pair's line, and the routes by which KVM
// knows whose EOI the I/O APIC waits for.

import CKVM
import VirtualCPU

/// The table of routes of a VM. An I/O APIC outside of the kernel is told of an EOI (KVM_EXIT_IOAPIC_EOI) for those
/// level-triggered messages only that have a route.
struct InterruptRoutes {
    /// Pins of the I/O APIC, whose routes come first in the table.
    static let ioAPICPins = 24

    /// Level-triggered messages, the one used last at the end.
    fileprivate(set) var level: [Message] = []
    /// Routes of interrupts that come by eventfd, by global system interrupt.
    var events: [UInt32: Message] = [:]

    /// A message-signalled interrupt.
    struct Message: Equatable {
        var address: UInt64
        var data: UInt32

        /// Only a level-triggered message brings an EOI back (SDM volume 3, section 11.11.2).
        var isLevelTriggered: Bool { data & 1 << 15 != 0 }
    }

    /// The table as the kernel takes it.
    var entries: [kvm_irq_routing_entry] {
        let pins = level.enumerated().map { Self.entry(UInt32($0), $1) }
        return pins + events.sorted { $0.key < $1.key }.map { Self.entry($0.key, $0.value) }
    }

    private static func entry(_ gsi: UInt32, _ message: Message) -> kvm_irq_routing_entry {
        var entry = kvm_irq_routing_entry()
        entry.gsi = gsi
        entry.type = UInt32(KVM_IRQ_ROUTING_MSI)
        entry.u.msi.address_lo = UInt32(truncatingIfNeeded: message.address)
        entry.u.msi.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
        entry.u.msi.data = message.data
        return entry
    }
}

extension KVMVM {
    func setINTR(_ asserted: Bool) {
        guard let bootstrap = vcpus.first else { return }
        bootstrap.intr.store(asserted, ordering: .sequentiallyConsistent)
        // It looks at the line before it enters the guest.
        if asserted { bootstrap.lookUp() }
    }

    @discardableResult func signalMSI(address: UInt64, data: UInt32) -> Bool {
        let message = InterruptRoutes.Message(address: address, data: data)
        if message.isLevelTriggered { addRoute(message) }
        return signal(message)
    }

    func setInterruptLine(_ gsi: Int, level: Bool) {}  // no chip with pins is hosted here
    func exportChips() -> ChipStates { ChipStates() }
    func importChips(_ state: ChipStates) {}

    func signal(_ message: InterruptRoutes.Message) -> Bool {
        var msi = kvm_msi()
        msi.address_lo = UInt32(truncatingIfNeeded: message.address)
        msi.address_hi = UInt32(truncatingIfNeeded: message.address >> 32)
        msi.data = message.data
        return retrying { ckvm_signal_msi(descriptor.number, &msi) } > 0
    }

    /// Makes sure that the EOI of a level-triggered message comes out of the kernel.
    private func addRoute(_ message: InterruptRoutes.Message) {
        routes.withLock { routes in
            guard !routes.level.contains(message) else { return }
            // Messages that were sent since are as likely to be waited for: the oldest goes.
            if routes.level.count == InterruptRoutes.ioAPICPins { routes.level.removeFirst() }
            routes.level.append(message)
            // A table that the kernel has no memory for costs the guest the rest of a level-triggered interrupt; it is
            // tried again with the next.
            if publish(routes) < 0 { routes.level.removeLast() }
        }
    }

    /// Hands the table of routes to the kernel.
    func publish(_ routes: InterruptRoutes) -> Int32 {
        let entries = routes.entries
        return retrying { ckvm_set_gsi_routing(descriptor.number, entries, UInt32(entries.count)) }
    }
}
