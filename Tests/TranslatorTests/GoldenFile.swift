// A file of golden code: cases of guest code, each with the host code that the translator is expected to make of it. The
// tests compare, or with TRAPEZE_ACCEPT_GOLDEN=1 write the files anew, with each instruction's text beside its bytes.
//
//     ## add rax, rbx                          a case, and what it shows
//     guest 48 01 d8                           the guest's code; the rest is written when the case is accepted
//     with user counted at=ff0                 what it is translated for, if not as supervisor code in 64-bit mode at 100H;
//                                              code32 and code16 are protected mode, flat for segments that need no look;
//                                              apart: with code for probes for groups that fail
//     show landing tail stubs ir               parts to show beside each instruction's own and what is out of line

import CPrimitives
import Disassembly
import Foundation
import Translator
import X86

/// One case.
struct GoldenCase {
    var title: String
    var guest: [UInt8] = []
    var circumstances = BlockDissection.Circumstances()
    /// The lines that say all this.
    var definition: [String] = []
    var shown: Set<String> = []
    /// The lines that are expected.
    var expected: [String] = []

    /// What the translator makes of it.
    func dissect(_ model: CPUModel) -> BlockDissection { BlockDissection(guest, circumstances, model: model) }
}

/// A file of cases.
struct GoldenFile {
    static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Golden")

    let url: URL
    /// What stands before the first case.
    var preface: [String] = []
    var cases: [GoldenCase] = []

    static func all() throws -> [GoldenFile] {
        try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            .filter { $0.pathExtension == "txt" }.sorted { $0.path < $1.path }.map(GoldenFile.init)
    }

    struct Mistake: Error { var text: String }

    init(_ url: URL) throws {
        self.url = url
        for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n", omittingEmptySubsequences: true)
        {
            if line.hasPrefix("## ") {
                cases.append(GoldenCase(title: String(line.dropFirst(3))))
            } else if cases.isEmpty {
                preface.append(String(line))
            } else {
                try cases[cases.count - 1].take(String(line))
            }
        }
    }

    /// The file's text with what the translator makes of its cases now.
    func accepted(_ model: CPUModel, _ disassembler: Disassembler) -> String {
        var lines = preface
        for golden in cases {
            lines += ["", "## \(golden.title)"] + golden.definition
            lines += golden.listing(golden.dissect(model), disassembler).map { line in
                line.text.map { line.expected.padding(toLength: 60, withPad: " ", startingAt: 0) + "; " + $0 }
                    ?? line.expected
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension GoldenCase {
    fileprivate mutating func take(_ line: String) throws {
        let words = line.split(separator: " ")
        switch words.first {
        case "guest":
            guest = try words.dropFirst().map { word in
                guard let byte = UInt8(word, radix: 16) else { throw GoldenFile.Mistake(text: line) }
                return byte
            }
            definition.append(line)
        case "with":
            for word in words.dropFirst() {
                if word == "user" {
                    circumstances.mode |= DecodedRun.mode(isUser: true) & 0xf0
                } else if let width = ["code16": 2, "code32": 4][word] as UInt8? {
                    circumstances.mode = circumstances.mode & 0xf0 | width
                } else if word == "flat" {
                    circumstances.mode |= UInt8(TZ_MODE_FLAT)
                } else if word == "counted" {
                    circumstances.counts = true
                } else if word == "apart" {
                    circumstances.hasProbesApart = true
                } else if word.hasPrefix("at="), let offset = UInt64(word.dropFirst(3), radix: 16) {
                    circumstances.offset = offset
                } else {
                    throw GoldenFile.Mistake(text: line)
                }
            }
            definition.append(line)
        case "show":
            shown = Set(words.dropFirst().map(String.init))
            definition.append(line)
        default:
            // Text beside code is for readers, and not compared.
            let code = line.split(separator: ";", maxSplits: 1).first ?? ""
            expected.append(String(code.reversed().drop { $0 == " " }.reversed()))
        }
    }

    /// A line of a listing, and what a reader is told beside it.
    typealias Line = (expected: String, text: String?)

    /// The lines that a case of the translator's code gives.
    func listing(_ block: BlockDissection, _ disassembler: Disassembler?) -> [Line] {
        var lines: [Line] = []
        func add(_ part: HostCode.Part) {
            for line in block.host.lines where line.part == part {
                if let label = line.label { lines.append((" \(label):", nil)) }
                let text = disassembler?.instruction(line.bytes, at: UInt64(line.offset))?.text
                lines.append(("    " + line.pattern, text.map(line.annotate)))
            }
        }
        let mode: Disassembler.Mode =
            switch circumstances.mode & 14 {
            case 2: .code16
            case 4: .code32
            default: .code64
            }
        if shown.contains("ir") {
            for stage in block.stages {
                lines.append(("\(stage.name):", nil))
                lines += stage.operations.map { ("  " + $0, nil) }
            }
        }
        if shown.contains("landing") {
            lines.append(("landing", nil))
            add(.landing)
        }
        if block.host.lines.contains(where: { $0.part == .head }) {
            lines.append(("head", nil))
            add(.head)
        }
        for (number, kind) in block.kinds.enumerated() {
            let size = block.host.size { $0 == .operation(number) }
            let bytes = block.instructions[number]
            let text = disassembler?.instruction(bytes, at: circumstances.offset, mode: mode)?.text
            lines.append(("\(kind), \(bytes.count) bytes -> \(size)", text))
            add(.operation(number))
        }
        if shown.contains("tail") {
            lines.append(("tail", nil))
            add(.tail)
        }
        if block.host.lines.contains(where: { $0.part == .outOfLine }) {
            lines.append(("out of line, \(block.host.size { $0 == .outOfLine }) bytes", nil))
            add(.outOfLine)
        }
        if shown.contains("stubs") {
            lines.append(("stubs", nil))
            add(.stubs)
        }
        return lines
    }
}
