import Glibc

guard let options = Options(Array(CommandLine.arguments.dropFirst())) else {
  Options.usage.withCString { _ = write(2, $0, strlen($0)) }
  exit(64)
}
// A pipe or socket whose other end is gone is an error like any other.
signal(SIGPIPE, SIG_IGN)
Interruption.watch()
var campaign = Campaign(options)
exit(campaign.run() ? 0 : 1)
