// `monitor` commands: what GDB has no words for, told so that one learns from it how the CPU sees it.

import Memory
import VirtualCPU

struct Monitor {
    let session: Session

    private static let commands: [(usage: String, help: String)] = [
        ("help", "this list"),
        ("vcpus", "what each vCPU is doing"),
        ("registers", "mode, segments with their hidden parts, tables, control and debug registers"),
        ("translate ADDRESS", "the page walk of a linear address, entry by entry"),
        ("physical ADDRESS [COUNT]", "memory by guest-physical address"),
        ("interrupts [hold|allow]", "whether interrupts wait while you step (they do unless allowed)"),
        (
            "architecture [NAME]",
            "how GDB disassembles: i386:x86-64, i386 or i8086; then `unset tdesc filename` has GDB take it"
        ),
    ]

    /// The answer to a command, in lines.
    func run(_ line: String) -> String {
        let words = line.split(separator: " ").map(String.init)
        let arguments = Array(words.dropFirst())
        switch words.first {
        case "help", nil: return help
        case "vcpus": return vcpus()
        case "registers": return withState { registers($0) }
        case "translate": return withAddress(arguments) { state, address in translate(address, state) }
        case "physical": return physical(arguments)
        case "interrupts": return interrupts(arguments.first)
        case "architecture": return architecture(arguments.first)
        case let command?: return "unknown command '\(command)'; `monitor help` lists those that there are\n"
        }
    }

    private var help: String {
        let width = Self.commands.map(\.usage.count).max() ?? 0
        return Self.commands.map { "  \(padded($0.usage, width))  \($0.help)\n" }.joined()
    }

    private func withState(_ body: (CPUState) -> String) -> String {
        do throws(EngineError) { return body(try session.target.state(of: session.current)) } catch {
            return error.description + "\n"
        }
    }

    private func withAddress(_ arguments: [String], _ body: (CPUState, UInt64) -> String) -> String {
        guard let text = arguments.first, let address = number(text) else {
            return "an address is wanted, such as 0xffffffff81000000\n"
        }
        return withState { body($0, address) }
    }

    /// A number as in C.
    private func number(_ text: String) -> UInt64? {
        text.hasPrefix("0x") ? UInt64(text.dropFirst(2), radix: 16) : UInt64(text)
    }

    // MARK: Commands

    private func vcpus() -> String {
        (0..<session.target.vcpuCount).map { vcpu in
            do throws(EngineError) {
                let state = try session.target.state(of: vcpu)
                let mark = vcpu == session.current ? "*" : " "
                return "\(mark) vCPU \(vcpu): \(state.modeName), ring \(state.cpl), \(state.activityName), at "
                    + "\(hex(state.linearRIP))\n"
            } catch {
                return "  vCPU \(vcpu): \(error)\n"
            }
        }.joined()
    }

    private func registers(_ state: CPUState) -> String {
        var text = "\(state.modeName), ring \(state.cpl), \(state.activityName)\n"
        text += "next instruction: cs:\(hex(state.rip)), linear \(hex(state.linearRIP))\n"
        for (name, number) in [
            ("es", 0), ("cs", 1), ("ss", 2), ("ds", 3), ("fs", 4), ("gs", 5), ("ldtr", 6), ("tr", 7),
        ] {
            let segment = state.segments[number]
            text += "\(padded(name, 4)) \(hex(segment.selector, 4))  base \(hex(segment.base, 16))  limit "
            text += "\(hex(segment.limit, 8))  \(segment.describe())\n"
        }
        text += "gdtr base \(hex(state.gdtr.base, 16))  limit \(hex(state.gdtr.limit, 4))\n"
        text += "idtr base \(hex(state.idtr.base, 16))  limit \(hex(state.idtr.limit, 4))\n"
        let system = TargetDescription.all[0].features.last?.registers ?? []
        for register in system {
            let isControl = if case .control = register.kind { true } else { register.name == "efer" }
            guard isControl else { continue }
            let value = state.bytes(of: register).reversed().reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            text += "\(padded(register.name, 4)) \(hex(value, 16))\n"
        }
        for (number, address) in state.debugAddresses.enumerated() { text += "dr\(number)  \(hex(address, 16))\n" }
        return text + "dr6  \(hex(state.dr6, 16))\ndr7  \(hex(state.dr7, 16))\n"
    }

    private func translate(_ address: UInt64, _ state: CPUState) -> String {
        let walk = PageTableWalk(address, in: state, memory: session.target.memory)
        var text = ""
        if state.cr0 >> 31 & 1 == 0 {
            text += "paging is off (CR0.PG): linear addresses are physical\n"
        } else {
            text += "cr3 \(hex(state.cr3, 16))\n"
        }
        for step in walk.steps {
            let place = step.address.map { "at \(hex($0, 16))" } ?? "in the CPU"
            text += "\(padded(step.name, 5)) \(place)  \(hex(step.entry, 16))  \(flags(step.entry))\n"
        }
        switch walk.outcome {
        case .page(let page):
            text += "\(hex(walk.linear)) is at physical \(hex(page.physical)), in a page of \(describeSize(page.size))"
            if !walk.steps.isEmpty {
                text += ": \(page.isWritable ? "writable" : "read-only"), \(page.isUser ? "user" : "supervisor")"
                text += page.isExecutable ? ", executable" : ", not executable"
            }
            return text + "\n"
        case .notPresent: return text + "\(hex(walk.linear)) is not mapped: P is 0\n"
        case .noMemory(let table): return text + "the next table, at physical \(hex(table)), is in no memory\n"
        case .nonCanonical: return text + "\(hex(walk.linear)) is not canonical: bits 63:48 must repeat bit 47\n"
        }
    }

    /// The flags of a paging-structure entry (SDM volume 3, section 4.5).
    private func flags(_ entry: UInt64) -> String {
        let names = [(0, "P"), (1, "R/W"), (2, "U/S"), (3, "PWT"), (4, "PCD"), (5, "A"), (6, "D"), (7, "PS"), (8, "G")]
        let set = names.filter { entry >> UInt64($0.0) & 1 != 0 }.map(\.1) + (entry >> 63 != 0 ? ["XD"] : [])
        return set.joined(separator: " ")
    }

    private func describeSize(_ bytes: UInt64) -> String {
        bytes >= 1 << 30 ? "\(bytes >> 30) GiB" : bytes >= 1 << 20 ? "\(bytes >> 20) MiB" : "\(bytes >> 10) KiB"
    }

    private func physical(_ arguments: [String]) -> String {
        guard let text = arguments.first, let address = number(text) else { return "an address is wanted\n" }
        let count = arguments.count > 1 ? number(arguments[1]) ?? 0 : 64
        guard (1...4096).contains(count) else { return "a count is 1 to 4096 bytes\n" }
        do throws(GuestMemoryError) {
            let bytes = try session.target.memory.read(at: GuestPhysicalAddress(address), count: Int(count))
            return stride(from: 0, to: bytes.count, by: 16).map { start in
                let line = bytes[start..<min(start + 16, bytes.count)]
                let digits = line.map { hex($0, 2) }.joined(separator: " ")
                let text = line.map { (0x20..<0x7f).contains($0) ? String(UnicodeScalar($0)) : "." }.joined()
                return "\(hex(address + UInt64(start), 16)):  \(padded(digits, 47))  \(text)\n"
            }.joined()
        } catch {
            return error.description + "\n"
        }
    }

    private func interrupts(_ word: String?) -> String {
        switch word {
        case "hold": session.debuggee.holdsInterrupts = true
        case "allow": session.debuggee.holdsInterrupts = false
        case nil: break
        default: return "hold or allow is wanted\n"
        }
        return session.debuggee.holdsInterrupts
            ? "interrupts wait while you step\n" : "a step may lead into an interrupt's handler\n"
    }

    private func architecture(_ name: String?) -> String {
        guard let name else { return session.offered.architecture + "\n" }
        guard let description = TargetDescription.all.first(where: { $0.architecture == name }) else {
            return "known are \(TargetDescription.all.map(\.architecture).joined(separator: ", "))\n"
        }
        session.offered = description
        return "\(name) from now on: enter `unset tdesc filename` to have GDB ask for it\n"
    }
}

private func hex(_ value: some BinaryInteger, _ width: Int = 1) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}

private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
}

extension CPUState {
    /// The mode in the manual's words.
    var modeName: String {
        if cr0 & 1 == 0 { return "real-address mode" }
        if rflags >> 17 & 1 != 0 { return "virtual-8086 mode" }
        if is64Bit { return "64-bit mode" }
        let width = segments[1].attributes >> 14 & 1 != 0 ? "32" : "16"
        return isLongMode ? "compatibility mode (\(width)-bit)" : "\(width)-bit protected mode"
    }

    /// What the vCPU does.
    var activityName: String {
        switch activity {
        case .active: "running"
        case .halted: "halted"
        case .shutdown: "shut down"
        case .waitForSIPI: "waiting for a startup IPI"
        }
    }
}

extension SegmentState {
    /// Type and attributes (SDM volume 3, section 3.4.5).
    fileprivate func describe() -> String {
        if attributes >> 16 & 1 != 0 { return "unusable" }
        var words = [attributes >> 4 & 1 == 0 ? "system" : attributes >> 3 & 1 != 0 ? "code" : "data"]
        words.append("type \(hex(attributes & 15))")
        words.append("DPL \(attributes >> 5 & 3)")
        for (bit, name) in [(7, "P"), (13, "L"), (14, "D/B"), (15, "G")] where attributes >> UInt32(bit) & 1 != 0 {
            words.append(name)
        }
        return words.joined(separator: " ")
    }
}
