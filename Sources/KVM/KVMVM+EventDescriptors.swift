// Interrupts and doorbells by eventfd (api.rst, sections 4.59 and 4.75).

import CKVM
import VirtualCPU

extension KVMVM: EventDescriptors {
    /// Global system interrupts above the I/O APIC's pins.
    private static let interrupts = UInt32(InterruptRoutes.ioAPICPins)..<1024

    func attachInterrupt(_ descriptor: Int32, address: UInt64, data: UInt32) throws(EngineError) -> Int {
        guard capabilities.has(.irqfd) else { throw EngineError("this host's KVM lacks KVM_CAP_IRQFD") }
        let routing: KVMCall = "KVM_SET_GSI_ROUTING"
        let gsi = try routes.withLock { routes throws(EngineError) in
            guard let free = Self.interrupts.first(where: { routes.events[$0] == nil }) else {
                throw EngineError("no global system interrupt is left for another eventfd")
            }
            routes.events[free] = InterruptRoutes.Message(address: address, data: data)
            do throws(EngineError) {
                try routing.check(publish(routes))
            } catch {
                routes.events[free] = nil
                throw error
            }
            return free
        }
        do throws(EngineError) {
            try setInterrupt(descriptor, gsi, flags: 0)
        } catch {
            forget(gsi)
            throw error
        }
        return Int(gsi)
    }

    func detachInterrupt(_ descriptor: Int32, number: Int) throws(EngineError) {
        let gsi = UInt32(number)
        try setInterrupt(descriptor, gsi, flags: UInt32(KVM_IRQFD_FLAG_DEASSIGN))
        forget(gsi)
    }

    private func forget(_ gsi: UInt32) {
        routes.withLock { routes in
            routes.events[gsi] = nil
            // A route that stays because the kernel has no memory for a shorter table is never used.
            _ = publish(routes)
        }
    }

    private func setInterrupt(_ event: Int32, _ gsi: UInt32, flags: UInt32) throws(EngineError) {
        var request = kvm_irqfd()
        request.fd = UInt32(bitPattern: event)
        request.gsi = gsi
        request.flags = flags
        let call: KVMCall = "KVM_IRQFD"
        try call.check(retrying { ckvm_irqfd(descriptor.number, &request) })
    }

    func attachDoorbell(
        _ descriptor: Int32, at place: Doorbell, size: Int, value: UInt64?
    ) throws(EngineError) {
        guard capabilities.has(.ioeventfd) else { throw EngineError("this host's KVM lacks KVM_CAP_IOEVENTFD") }
        try setDoorbell(descriptor, place, size, value, flags: 0)
    }

    func detachDoorbell(
        _ descriptor: Int32, at place: Doorbell, size: Int, value: UInt64?
    ) throws(EngineError) {
        try setDoorbell(descriptor, place, size, value, flags: CKVM_IOEVENTFD_DEASSIGN)
    }

    private func setDoorbell(
        _ event: Int32, _ place: Doorbell, _ size: Int, _ value: UInt64?, flags: UInt32
    ) throws(EngineError) {
        var request = kvm_ioeventfd()
        request.fd = event
        request.len = UInt32(size)
        request.flags = flags
        switch place {
        case .port(let port):
            request.addr = UInt64(port)
            request.flags |= CKVM_IOEVENTFD_PORT
        case .memory(let address): request.addr = address
        }
        if let value {
            request.datamatch = value
            request.flags |= CKVM_IOEVENTFD_MATCH
        }
        let call: KVMCall = "KVM_IOEVENTFD"
        try call.check(retrying { ckvm_ioeventfd(descriptor.number, &request) })
    }
}
