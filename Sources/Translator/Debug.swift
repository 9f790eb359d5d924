import CPrimitives
import Foundation
import X86
let debugLimit: UInt64 = UInt64(ProcessInfo.processInfo.environment["TZ_LIMIT"] ?? "") ?? .max
extension Translator {
    func debugDump(_ block: UnsafeMutablePointer<Block>, _ start: UnsafeMutablePointer<UInt8>, _ end: UnsafeMutablePointer<UInt8>) {
        var text = "block phys \(String(block.pointee.address, radix: 16)) rip \(String(state.pointee.rip, radix: 16)) mode \(block.pointee.mode) count \(block.pointee.count) size \(block.pointee.size) second \(block.pointee.secondPage)\n"
        for o in operations { text += " \(o.kind) \(Mnemonic(rawValue: o.instruction.pointee.mnemonic)!) off \(String(o.offset, radix: 16)) len \(o.instruction.pointee.length) imm \(o.instruction.pointee.immediate) flags \(o.flags)\n" }
        FileHandle.standardError.write(Data(text.utf8))
        try? Data(bytes: start, count: end - start).write(to: URL(filePath: "/tmp/dump.bin"))
        let host = UnsafeRawPointer(bitPattern: 0)
        _ = host
    }
}

nonisolated(unsafe) var stepCounts = [UInt16: Int]()
func debugReport(_ t: Translator) {
    var text = "\(t.statistics)\n code \(t.code.codeSize) links \(t.code.linkCount) sites \(t.code.siteCount)\n"
    text += "\(debugForget)\n"
    for (k, v) in stepCounts.sorted(by: { $0.value > $1.value }).prefix(25) { text += "  \(Mnemonic(rawValue: k)!) \(v)\n" }
    FileHandle.standardError.write(Data(text.utf8))
}
