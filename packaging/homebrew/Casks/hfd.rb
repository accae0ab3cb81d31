cask "hfd" do
  version "@VERSION@"
  sha256 "@SHA256@"

  url "@RELEASES@/v#{version}/hfd-#{version}-universal-apple-darwin.tar.gz"
  name "hfd"
  desc "One login for every Hugging Face tool, kept in the keychain"
  homepage "@REPOSITORY@"

  depends_on :macos

  # Both, since hfd looks for hfdd beside its own name.
  binary "hfd"
  binary "hfdd"
  # git finds a helper by this name.
  binary "hfd", target: "git-credential-hfd"
  generate_completions_from_executable "hfd", "completions"

  zap trash: [
    "~/Library/Application Support/hfd",
    "~/Library/LaunchAgents/co.huggingface.hfd.plist",
    "~/Library/Logs/hfd",
  ]

  caveats <<~EOS
    Run the daemon with every session:
      hfd service install
    Before hfd is removed:
      hfd service uninstall
  EOS
end
