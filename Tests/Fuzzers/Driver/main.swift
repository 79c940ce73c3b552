import Foundation
import Fuzzers

// raftkv-fuzz --seeds NAME DIRECTORY    writes the inputs to begin from
// raftkv-fuzz NAME [libFuzzer's flags and directories]

/// libFuzzer's loop; it returns its exit code.
@_silgen_name("LLVMFuzzerRunDriver")
func runDriver(
  _ count: UnsafeMutablePointer<Int32>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ callback: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
) -> Int32

func fuzzer(named name: String) -> any Fuzzer.Type {
  guard let found = Fuzzing.all.first(where: { $0.name == name }) else {
    print("no fuzzer '\(name)'; there are: \(Fuzzing.all.map { $0.name }.joined(separator: " "))")
    exit(64)
  }
  return found
}

let words = CommandLine.arguments
guard words.count >= 2 else {
  print(Fuzzing.all.map { $0.name }.joined(separator: " "))
  exit(0)
}
if words[1] == "--seeds", words.count == 4 {
  for (number, seed) in fuzzer(named: words[2]).seeds.enumerated() {
    let place = URL(filePath: words[3]).appending(path: "seed-\(number)")
    try Data(seed).write(to: place)
  }
  exit(0)
}

nonisolated(unsafe) let chosen = fuzzer(named: words[1])
// The name goes; what follows is libFuzzer's.
var count = CommandLine.argc - 1
var arguments = CommandLine.unsafeArgv + 1
exit(
  runDriver(&count, &arguments) { data, count in
    let input = Array(UnsafeBufferPointer(start: data, count: count))
    do { try chosen.judge(input) } catch { fatalError("\(error)") }
    return 0
  })
