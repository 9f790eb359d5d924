// Draws random cases: an encoding with prefixes and operands, and registers and memory under which it does something
// worth comparing, such as crossing pages, hitting the guard around the data, dividing without overflow.

import HostCases
import TestSupport
import X86

struct CaseGenerator {
    var random: SplitMix64
    var gpr = [UInt64](repeating: 0, count: 16)
    var pokes: [tz_host_poke] = []
    /// Registers that the setup needs as they are.
    var pinned: Set<Int> = []

    static let code = UInt64(TZ_HOST_CODE)
    static let data = UInt64(TZ_HOST_DATA)
    static let writable = UInt64(TZ_HOST_DATA_WRITABLE)

    static let hostIsAMD = tz_host_is_amd() != 0

    // Parts of the instruction being made
    var compatibility = false
    var operandSizePrefix = false
    var addressSizePrefix = false
    var rexW = false
    /// FS or GS, whose bases are not 0, or neither.
    var segmentPrefix: UInt8?
    var wideVector = false
    /// VEX.vvvv
    var vvvv: UInt8 = 0
    var ignored: [(at: UInt64, count: UInt32)] = []
    /// A flag that would keep the case from being what it is meant to be.
    var alignmentCheck = false
    var image: [UInt8] = []
    var rex: UInt8 = 0
    var tail: [UInt8] = []
    /// The displacement in `tail` that is relative to the end of the instruction, and where it leads.
    private var ripRelative: (at: Int, target: UInt64)?

    init(seed: UInt64) { random = SplitMix64(seed: seed) }

    // MARK: A case

    mutating func next() -> tz_host_case {
        while true {
            if let made = attempt(random.pick(Encoding.all)) { return made }
        }
    }

    /// Nil when the choices made don't fit together.
    mutating func attempt(_ encoding: Encoding) -> tz_host_case? {
        compatibility = encoding.in64BitMode == false || (encoding.in64BitMode == nil && random.once(in: 4))
        for index in gpr.indices { gpr[index] = random.operand() }
        pokes = []
        pinned = []
        tail = []
        ripRelative = nil
        rex = 0
        gpr[4] = random.once(in: 12) ? gpr[4] : dataAddress()
        ignored = []
        vvvv = 0
        image = Self.plainImage
        let isBranch = [.branch, .loop, .jump, .ret].contains(encoding.setup)
        let sized = encoding.width == .operandSize || encoding.width == .default64 || encoding.immediate == .upToDword
        // A branch with an operand size prefix in 64-bit mode is Intel's to ignore and AMD's to obey; a 16-bit MOVSXD reads
        // 16 bits on Intel's CPUs and 32 on AMD's.
        let vendors = !compatibility && (isBranch || encoding.bytes == [0x63])
        operandSizePrefix =
            random.once(in: 4) && (sized || random.once(in: 4)) && !vendors && encoding.allowsOperandSizePrefix
        addressSizePrefix = random.once(in: 8)
        rexW = !compatibility && random.once(in: 3) && !encoding.ignoresREXW
        segmentPrefix = !compatibility && random.once(in: 12) ? random.pick([0x64, 0x65]) : nil
        alignmentCheck = random.once(in: 12)
        if let vex = encoding.vex {
            rexW = random.pick(vex.ws)
            wideVector = random.pick(vex.ls)
            if vex.usesVVVV { vvvv = UInt8(random.below(compatibility ? 8 : 16)) }
        }
        let repeated = encoding.setup == .string ? random.below(3) : 0

        prepare(encoding, repeated: repeated != 0)
        var locked = false
        switch encoding.operands {
        case .none: break
        case .opcodeRegister: rex = rex & ~1 | (compatibility ? 0 : UInt8(random.below(2)))
        case .fixed(let mask, let value):
            tail = [value | UInt8(random.below(256)) & ~mask]
            locked = random.once(in: 400)
        case .modRM, .group:
            let isMemory = !encoding.registerOnly && (encoding.memoryOnly || random.below(2) == 0)
            guard addModRM(encoding, memory: isMemory) else { return nil }
            locked = isMemory && encoding.lockable ? random.once(in: 4) : random.once(in: 400)
            // AMD's CPUs let LOCK pass before VERR and VERW, against both manuals.
            if encoding.bytes == [0x0f, 0x00] { locked = false }
        }
        if encoding.isNative { prepareImage(encoding) }
        return assemble(encoding, locked: locked, repeated: repeated)
    }

    /// The base of the segment whose prefix the instruction has.
    var segmentBase: UInt64 {
        segmentPrefix.map { $0 == 0x64 ? UInt64(TZ_HOST_FS_BASE) : UInt64(TZ_HOST_GS_BASE) } ?? 0
    }

    private mutating func assemble(_ encoding: Encoding, locked: Bool, repeated: Int) -> tz_host_case? {
        var code: [UInt8] = []
        let isVEX = encoding.vex != nil
        if operandSizePrefix && encoding.mandatory != 0x66 && !isVEX { code.append(0x66) }
        if addressSizePrefix { code.append(0x67) }
        if let segmentPrefix {
            code.append(segmentPrefix)
        } else if random.once(in: 20) && !compatibility {
            code.append(random.pick([0x26, 0x2e, 0x36, 0x3e]))
        }
        if locked && !isVEX { code.append(0xf0) }
        // #UD
        if isVEX && random.once(in: 80) { code.append(random.pick([0x66, 0xf2, 0xf3, 0xf0])) }
        if repeated == 1 { code.append(0xf3) }
        if repeated == 2 { code.append(0xf2) }
        if let mandatory = encoding.mandatory { code.append(mandatory) }
        if random.once(in: 2) { code.shuffle(using: &random) }
        if rexW { rex |= 8 }
        if let vex = encoding.vex {
            code += vexPrefix(vex)
        } else if !compatibility && (rex != 0 || random.once(in: 8)) {
            code.append(0x40 | rex)
        }
        var opcode = encoding.bytes
        if case .opcodeRegister = encoding.operands { opcode[opcode.count - 1] += UInt8(random.below(8)) }
        code += opcode
        let tailStart = code.count
        code += tail
        let branchStart = code.count
        code += immediate(encoding)
        guard code.count <= 15 else { return nil }

        let length = UInt64(code.count)
        var rip = Self.code + 0x400 + UInt64(random.below(0x1800))
        if random.once(in: 10) { rip = Self.code + 0x1000 - UInt64(random.below(code.count)) }
        if random.once(in: 50) { rip = Self.code + UInt64(TZ_HOST_CODE_SIZE) - length }
        let forbidden = rip..<rip + length
        if encoding.immediate == .branch8 || encoding.immediate == .branch32 {
            guard setBranch(&code, at: branchStart, rip + length, forbidden) else { return nil }
        }
        if let relative = ripRelative {
            let displacement = Int64(bitPattern: relative.target &- rip &- length)
            replace(&code, at: tailStart + relative.at, with: UInt64(bitPattern: displacement), size: 4)
        }
        // Nothing may lead into the instruction's own bytes.
        let targets = pokes.map(\.value) + gpr
        if targets.contains(where: { forbidden.contains($0) || forbidden.contains($0 & 0xffff_ffff) }) { return nil }
        return make(encoding, code, rip)
    }

    private mutating func make(_ encoding: Encoding, _ code: [UInt8], _ rip: UInt64) -> tz_host_case {
        var made = tz_host_case()
        if compatibility { gpr = gpr.enumerated().map { $0.offset < 8 ? $0.element & 0xffff_ffff : $0.element } }
        withUnsafeMutableBytes(of: &made.gpr) { target in gpr.withUnsafeBytes { target.copyMemory(from: $0) } }
        withUnsafeMutableBytes(of: &made.code) { target in code.withUnsafeBytes { target.copyMemory(from: $0) } }
        withUnsafeMutableBytes(of: &made.pokes) { target in pokes.withUnsafeBytes { target.copyMemory(from: $0) } }
        made.poke_count = UInt32(pokes.count)
        made.code_length = UInt32(code.count)
        made.rip = rip
        made.compatibility = compatibility ? 1 : 0
        withUnsafeMutableBytes(of: &made.xsave) { target in image.withUnsafeBytes { target.copyMemory(from: $0) } }
        withUnsafeMutableBytes(of: &made.ignored_data) { target in
            for (index, range) in ignored.prefix(3).enumerated() where range.at >= Self.data {
                let offset = UInt32(truncatingIfNeeded: range.at - Self.data)
                target.storeBytes(of: offset, toByteOffset: 8 * index, as: UInt32.self)
                target.storeBytes(of: range.count, toByteOffset: 8 * index + 4, as: UInt32.self)
            }
        }
        made.ignored_flags = Self.hostIsAMD ? 0 : encoding.undefinedFlags
        // IF, the six arithmetic flags; DF and ID now and then.
        made.flags = 0x202 | random.next() & 0x8d5
        if random.once(in: 3) { made.flags |= 1 << 10 }
        if random.once(in: 8) { made.flags |= 1 << 21 }
        if alignmentCheck { made.flags |= 1 << 18 }
        return made
    }

    // MARK: Addresses

    /// An address in or around the data area.
    mutating func dataAddress() -> UInt64 {
        let page = UInt64(random.below(5)) << 12
        let end = UInt64(TZ_HOST_DATA_SIZE)
        let offset: UInt64 =
            switch random.below(24) {
            case 0..<10: UInt64(random.below(Int(Self.writable) / 16)) * 16
            case 10..<16: UInt64(random.below(Int(Self.writable)))
            case 16..<20: page &- UInt64(random.below(random.once(in: 2) ? 16 : 40))
            case 20: end &- UInt64(random.below(16))
            case 21: 0 &- UInt64(random.below(16))
            case 22: Self.writable &- UInt64(random.below(64))
            default: UInt64(random.below(Int(end)))
            }
        if random.once(in: 60) { return random.next() }
        return Self.data &+ offset
    }

    mutating func writableAddress() -> UInt64 { Self.data + UInt64(random.below(Int(Self.writable) - 64)) }

    mutating func codeAddress() -> UInt64 {
        if random.once(in: 16) { return random.next() }
        return Self.code + UInt64(random.below(Int(TZ_HOST_CODE_SIZE)))
    }

    mutating func poke(_ address: UInt64, _ value: UInt64) {
        let offset = address &- Self.data
        if offset <= Self.writable - 8, pokes.count < Int(TZ_HOST_POKES) {
            pokes.append(tz_host_poke(offset: offset, value: value))
        }
    }

    // MARK: Setups

    private mutating func prepare(_ encoding: Encoding, repeated: Bool) {
        switch encoding.setup {
        case .none, .exchange, .bit, .bound: break
        case .branch, .jump:
            // With a stack that can be pushed to: whether a CALL checks its target or its push first is up to the vendor.
            pinned = [4]
            gpr[4] = writableAddress() + 16
            if alignmentCheck { gpr[4] &= ~15 }
        case .shift:
            pinned = [1]
            gpr[1] = gpr[1] & ~0xff | UInt64(random.below(random.once(in: 4) ? 256 : 66))
        case .divide:
            pinned = [0, 2]
            switch random.below(4) {
            case 0: gpr[2] = 0
            case 1: gpr[2] = UInt64(bitPattern: Int64(bitPattern: gpr[0]) >> 63)
            case 2: gpr[2] = UInt64(random.below(16))
            default: gpr[0] = gpr[0] & ~0xff00 | UInt64(random.below(8)) << 8
            }
        case .popf:
            pinned = [4]
            gpr[4] = writableAddress()
            // Not TF, NT and AC, which change how the host goes on.
            poke(gpr[4], random.next() & ~0x44100)
        case .ret:
            pinned = [4]
            gpr[4] = random.once(in: 20) ? gpr[4] : writableAddress()
            poke(gpr[4], codeAddress())
        case .loop:
            pinned = [1]
            if random.below(2) == 0 { gpr[1] = UInt64(random.below(3)) }
        case .exchange8B:
            pinned = [0, 2]
        case .string:
            pinned = [1, 6, 7]
            gpr[6] = dataAddress() &- segmentBase
            gpr[7] = random.once(in: 3) ? gpr[6] &+ UInt64(random.below(64)) &- 32 : dataAddress()
            if repeated && !random.once(in: 40) { gpr[1] = UInt64(random.below(random.once(in: 3) ? 3000 : 20)) }
            if random.below(2) == 0 { gpr[0] = 0x4141_4141_4141_4141 }
        case .stack:
            pinned = [4]
        case .popAll:
            // All of it readable, or none: CPUs differ in what a fault half-way leaves in the registers.
            pinned = [4]
            gpr[4] = random.once(in: 8) ? random.next() : writableAddress()
        case .frame:
            pinned = [4, 5]
            gpr[5] = dataAddress()
        case .selector, .popSegment, .farPointer, .farImmediate, .farIndirect, .retFar, .iret, .interrupt:
            prepareSegments(encoding)
        case .maskedBytes:
            pinned = [7]
            gpr[7] = dataAddress() &- segmentBase
        case .saveArea, .restoreArea, .environment, .controlWord, .extendedArea: prepareStateArea(encoding)
        case .vector, .clear: break
        case .base: gpr[random.below(16)] = random.once(in: 3) ? random.next() : random.next() >> 17
        case .translate:
            gpr[3] = dataAddress() &- segmentBase &- gpr[0] & 0xff
        }
    }

    /// What the memory operand at `target` should hold for the instruction.
    private mutating func prepareMemory(_ encoding: Encoding, _ target: UInt64, _ reg: UInt8) {
        switch encoding.setup {
        case .jump: poke(target, codeAddress())
        case .exchange: if random.below(2) == 0 { poke(target, gpr[0]) }
        case .exchange8B where random.below(2) == 0:
            if rexW {
                poke(target, gpr[0])
                poke(target &+ 8, gpr[2])
            } else {
                poke(target, gpr[2] << 32 | gpr[0] & 0xffff_ffff)
            }
        case .divide where random.below(2) == 0: poke(target, random.operand() | 1 << UInt64(random.below(40)))
        case .bit where !pinned.contains(Int(reg)):
            // Bit numbers that stay within the data, most of the time.
            if !random.once(in: 8) { gpr[Int(reg)] = UInt64(bitPattern: Int64(random.below(1 << 16)) - 1 << 15) }
        case .vector: pokeOperands(target, encoding)
        case .selector, .farPointer, .farIndirect: pokeSegments(encoding, target)
        case .saveArea, .restoreArea, .environment, .controlWord, .extendedArea: pokeStateArea(encoding, target)
        case .bound:
            poke(target, random.next() & 0x7fff_ffff_0000_8000)
        default: if random.once(in: 4) { poke(target, random.operand()) }
        }
    }

    // MARK: ModRM

    private mutating func addModRM(_ encoding: Encoding, memory: Bool) -> Bool {
        let registers = compatibility ? 8 : 16
        let reg: UInt8
        if case .group(let number) = encoding.operands {
            reg = number
        } else {
            reg = UInt8(random.below(registers))
        }
        rex |= (reg >> 3) << 2
        if encoding.vex?.isGather == true { return addVectorMemory(encoding, reg) }
        guard memory else {
            let rm = UInt8(random.below(registers))
            if encoding.setup == .jump {
                if pinned.contains(Int(rm)) { return false }
                gpr[Int(rm)] = codeAddress()
            }
            if encoding.setup == .exchange, random.below(2) == 0 { gpr[Int(rm)] = gpr[0] }
            if encoding.setup == .selector {
                if pinned.contains(Int(rm)) { return false }
                gpr[Int(rm)] = gpr[Int(rm)] & ~0xffff | UInt64(selector())
            }
            rex |= rm >> 3
            tail = [0xc0 | (reg & 7) << 3 | rm & 7]
            return true
        }
        var target = dataAddress()
        if encoding.setup == .exchange8B, rexW, !random.once(in: 8) { target &= ~15 }
        if encoding.isAligned, !random.once(in: 6) { target &= ~31 }
        if encoding.needsItsTarget { target = stateAreaAddress(encoding) ?? target }
        if encoding.setup == .jump { target = random.once(in: 8) ? target : writableAddress() }
        prepareMemory(encoding, target, reg)
        if encoding.setup == .bit { pinned.insert(Int(reg)) }
        if compatibility && addressSizePrefix { return addMemory16(reg) }
        return addMemory(encoding, reg, target &- segmentBase, registers)
    }

    /// 16-bit addressing reaches nothing that is mapped; the fault's address shows what was computed.
    private mutating func addMemory16(_ reg: UInt8) -> Bool {
        let mode = UInt8(random.below(3))
        let rm = UInt8(random.below(8))
        tail = [mode << 6 | reg << 3 | rm]
        let size = mode == 1 ? 1 : mode == 2 || rm == 6 ? 2 : 0
        for _ in 0..<size { tail.append(UInt8(truncatingIfNeeded: random.next())) }
        return true
    }

    private mutating func addMemory(
        _ encoding: Encoding, _ reg: UInt8, _ target: UInt64, _ registers: Int
    ) -> Bool {
        let field = (reg & 7) << 3
        switch random.below(8) {
        case 0 where !compatibility && segmentPrefix == nil:
            // RIP-relative
            tail = [field | 5, 0, 0, 0, 0]
            ripRelative = (1, target)
            return true
        case 1 where target < 1 << 31:
            // Absolute, through a SIB byte without base and index
            tail = [field | 4, 0x25]
            append(target, size: 4)
            return true
        case 2:
            // On the stack pointer as it is: PUSH and POP with their own register as base
            if encoding.needsItsTarget { return false }
            tail = [0x40 | field | 4, 0x24, UInt8(truncatingIfNeeded: random.next())]
            return true
        default: break
        }
        let free = (0..<registers).filter { !pinned.contains($0) && $0 != 4 }
        let base = random.pick(free)
        let displacement = Int64(random.once(in: 2) ? 0 : random.below(256) - 128)
        let wide = random.once(in: 3)
        let far = wide ? displacement &* 0x1_0101 : displacement
        let mode: UInt8 = wide ? 2 : displacement == 0 && base & 7 != 5 && random.below(2) == 0 ? 0 : 1
        var address = target &- UInt64(bitPattern: far)
        rex |= UInt8(base >> 3)
        if random.below(2) == 0 && base & 7 != 4 {
            tail = [mode << 6 | field | UInt8(base & 7)]
        } else {
            let scale = UInt8(random.below(4))
            var index = 4
            if random.below(2) == 0 {
                index = random.pick(free)
                guard index != base else { return false }
                address &-= gpr[index] << UInt64(scale)
                rex |= UInt8(index >> 3) << 1
            }
            tail = [mode << 6 | field | 4, scale << 6 | UInt8(index & 7) << 3 | UInt8(base & 7)]
        }
        // With 32-bit addresses the upper half is there to be ignored.
        gpr[base] = addressSizePrefix ? address & 0xffff_ffff | random.next() << 32 : address
        if mode != 0 { append(UInt64(bitPattern: far), size: mode == 1 ? 1 : 4) }
        return true
    }

    private mutating func append(_ value: UInt64, size: Int) {
        for index in 0..<size { tail.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }

    // MARK: Immediates and branches

    private mutating func immediate(_ encoding: Encoding) -> [UInt8] {
        let width: Int =
            switch encoding.width {
            case .byte: 1
            case .operandSize: rexW ? 8 : operandSizePrefix ? 2 : 4
            case .default64: operandSizePrefix && !rexW ? 2 : compatibility ? 4 : 8
            default: rexW ? 8 : 4
            }
        let size =
            switch encoding.immediate {
            case .none: 0
            case .byte, .branch8: 1
            case .word: 2
            case .enter: 3
            case .upToDword: min(width, 4)
            case .upToQword: width
            case .branch32: operandSizePrefix ? 2 : 4
            case .offset: compatibility ? (addressSizePrefix ? 2 : 4) : addressSizePrefix ? 4 : 8
            case .far: 0
            }
        if encoding.immediate == .far { return farImmediate() }
        if encoding.setup == .interrupt { return [interruptVector()] }
        var value = random.operand()
        if encoding.immediate == .offset { value = dataAddress() &- segmentBase }
        if encoding.immediate == .enter {
            value = UInt64(random.below(256)) | UInt64(random.below(random.pick([1, 3, 40]))) << 16
        }
        if encoding.setup == .ret { value = UInt64(random.below(1 << 16)) }
        // The stack beyond stays readable: AMD's CPUs look there before they check the selector.
        if encoding.setup == .retFar { value = UInt64(random.below(50) * 8) }
        return (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    /// Fills in a displacement that leads into the code area, seldom elsewhere, never into the instruction itself.
    private mutating func setBranch(
        _ code: inout [UInt8], at position: Int, _ end: UInt64, _ forbidden: Range<UInt64>
    ) -> Bool {
        let size = code.count - position
        var displacement = Int64(random.below(256)) - 128
        if size > 1 {
            displacement = Int64(bitPattern: codeAddress() &- end)
            if size == 4 { displacement = Int64(Int32(truncatingIfNeeded: displacement)) }
            if size == 2 { displacement = Int64(Int16(truncatingIfNeeded: displacement)) }
        }
        let target = end &+ UInt64(bitPattern: displacement)
        if forbidden.contains(target) || forbidden.contains(target & 0xffff_ffff) { return false }
        replace(&code, at: position, with: UInt64(bitPattern: displacement), size: size)
        return true
    }

    private func replace(_ code: inout [UInt8], at position: Int, with value: UInt64, size: Int) {
        for index in 0..<size { code[position + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
}
