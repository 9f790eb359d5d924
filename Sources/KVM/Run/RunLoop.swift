// The engine's loop: enter the guest, see why it came out, again (api.rst, sections 4.10 and 5).

import CKVM
import VirtualCPU

extension KVMVCPU {
    /// Runs until something needs a decision. KVM does not count instructions: a budget is refused.
    func run(budget: UInt64?) -> Exit {
        guard budget == nil else {
            return .failed(EngineError("engine 'kvm' cannot count guest instructions"))
        }
        if isShutDown { return .shutdown }
        beginRunning()
        defer { endRunning() }
        do throws(EngineError) {
            try followTime()
            try releaseDeadline()
        } catch {
            return .failed(error)
        }
        let run = page.pointer
        while true {
            if isKicked {
                if !completesAccess {
                    _ = takeKick()
                    tallies.kicks += 1
                    do throws(EngineError) { try holdDeadline() } catch { return .failed(error) }
                    return .kicked
                }
                // The access is completed, and then the vCPU comes back without having entered the guest.
                ckvm_request_exit(run)
            }
            if id == 0, let error = offerExternalInterrupt(run) { return .failed(error) }
            let result = ckvm_run(descriptor.number)
            completesAccess = false
            if result < 0 {
                switch -result {
                case Errno.interrupted, Errno.again:
                    // What was asked for before the flag went up is seen after it has been taken down.
                    ckvm_forget_exit(run)
                    continue
                default: return .failed(EngineError("KVM_RUN of vCPU \(id): \(KVMCall.text(-result))"))
                }
            }
            guard let exit = handleExit(run) else { continue }
            // A debugger's stop is the machine's.
            if case .debug = exit {
                do throws(EngineError) { try holdDeadline() } catch { return .failed(error) }
            }
            return exit
        }
    }

    /// Hands the PIC pair's interrupt over as soon as the guest can take it.
    private func offerExternalInterrupt(_ run: UnsafeMutablePointer<kvm_run>) -> EngineError? {
        guard intr.load(ordering: .sequentiallyConsistent) else {
            run.pointee.request_interrupt_window = 0
            return nil
        }
        guard run.pointee.ready_for_interrupt_injection != 0 else {
            run.pointee.request_interrupt_window = 1
            return nil
        }
        run.pointee.request_interrupt_window = 0
        let vector = UInt32(bus.acknowledgeInterrupt())
        let result = retrying { ckvm_interrupt(descriptor.number, vector) }
        guard result < 0 else { return nil }
        return EngineError("KVM_INTERRUPT of vCPU \(id): \(KVMCall.text(-result))")
    }

    // MARK: Exits

    /// Deals with what the kernel has come out for. An exit if the machine has to decide.
    private func handleExit(_ run: UnsafeMutablePointer<kvm_run>) -> Exit? {
        switch Int32(bitPattern: run.pointee.exit_reason) {
        case KVM_EXIT_IO: return accessPort(run)
        case KVM_EXIT_MMIO: accessMMIO(run)
        case KVM_EXIT_IOAPIC_EOI: bus.endOfInterrupt(vector: run.pointee.eoi.vector)
        case KVM_EXIT_INTR, KVM_EXIT_IRQ_WINDOW_OPEN: break
        case KVM_EXIT_HLT: return .halted
        case KVM_EXIT_SHUTDOWN:
            isShutDown = true
            return .shutdown
        case KVM_EXIT_DEBUG: return takeDebugExit(run)
        case KVM_EXIT_INTERNAL_ERROR: return surviveInternalError(run)
        case KVM_EXIT_FAIL_ENTRY:
            let reason = String(run.pointee.fail_entry.hardware_entry_failure_reason, radix: 16)
            return .failed(EngineError("vCPU \(id): the CPU refused to enter the guest, reason 0x\(reason)"))
        case KVM_EXIT_UNKNOWN:
            let reason = String(run.pointee.hw.hardware_exit_reason, radix: 16)
            return .failed(EngineError("vCPU \(id): an exit that KVM does not know, hardware reason 0x\(reason)"))
        default:
            return .failed(EngineError("vCPU \(id): unexpected KVM exit \(run.pointee.exit_reason)"))
        }
        return nil
    }

    /// IN, OUT, INS, OUTS: the kernel gives one to many accesses of one size.
    private func accessPort(_ run: UnsafeMutablePointer<kvm_run>) -> Exit? {
        let access = run.pointee.io
        guard let data = ckvm_io_data(run, page.size) else {
            return .failed(EngineError("vCPU \(id): the data of a port access lies outside of the shared page"))
        }
        let size = UInt32(access.size)
        for index in 0..<Int(access.count) {
            let place = data + index * Int(size)
            if access.direction == UInt8(KVM_EXIT_IO_OUT) {
                bus.writePort(access.port, size: Int(size), value: ckvm_load(place, size))
            } else {
                ckvm_store(place, size, bus.readPort(access.port, size: Int(size)))
            }
        }
        tallies.portAccesses += UInt64(access.count)
        completesAccess = true
        return nil
    }

    /// An access to an address without memory. What crosses a page comes in parts that may have any size up to 8.
    private func accessMMIO(_ run: UnsafeMutablePointer<kvm_run>) {
        let access = run.pointee.mmio
        let length = min(Int(access.len), 8)
        var value = access.is_write != 0 ? ckvm_mmio_data(run) : 0
        var done = 0
        while done < length {
            // The largest power of two that is left.
            let size = 1 << (Int.bitWidth - 1 - (length - done).leadingZeroBitCount)
            let address = access.phys_addr &+ UInt64(done)
            let shift = UInt64(8 * done)
            if access.is_write != 0 {
                let mask: UInt64 = size == 8 ? .max : 1 << UInt64(8 * size) - 1
                bus.writeMMIO(address, size: size, value: value >> shift & mask)
            } else {
                value |= bus.readMMIO(address, size: size) << shift
            }
            done += size
        }
        if access.is_write == 0 { ckvm_set_mmio_data(run, value) }
        tallies.mmioAccesses += 1
        completesAccess = true
    }

    /// The kernel gave up: what it cannot emulate, the interpreter executes.
    private func surviveInternalError(_ run: UnsafeMutablePointer<kvm_run>) -> Exit? {
        let suberror = run.pointee.internal.suberror
        guard suberror == UInt32(KVM_INTERNAL_ERROR_EMULATION) else {
            return .failed(EngineError("vCPU \(id): KVM internal error, suberror \(suberror)"))
        }
        do throws(EngineError) {
            return try assist()
        } catch {
            return .failed(error)
        }
    }
}
