# No `service`: `hfd service install` writes an agent (macOS) or a unit (Linux) that hfd knows by its name, starts
# and stops with its other commands, and takes out again with refresh tokens handed back. One of `brew services`
# has another name: hfd would see no service, and what it stops would be back at once.
class Hfd < Formula
  desc "One login for every Hugging Face tool, kept in the keychain"
  homepage "@REPOSITORY@"
  url "@URL@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]
  head "@REPOSITORY@.git", branch: "main"

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args(path: "client")
    system "cargo", "install", *std_cargo_args(path: "daemon")
    generate_completions_from_executable(bin/"hfd", "completions")
    system bin/"hfd", "man", man1
  end

  def caveats
    s = <<~EOS
      Run the daemon with every session:
        hfd service install
      Before hfd is removed:
        hfd service uninstall
    EOS
    if OS.mac?
      s += <<~EOS

        What is built here has no signature that outlives an upgrade: the keychain takes the next
        version for another program. hfd then says that it is locked or does not let this hfdd in,
        until the new hfdd is allowed in Keychain Access. The cask is signed:
          brew install --cask hfd
      EOS
    end
    s
  end

  test do
    assert_equal "hfd #{version}\n", shell_output("#{bin}/hfd --version")
    assert_equal "hfdd #{version}\n", shell_output("#{bin}/hfdd --version")

    # A daemon of this home's own, and the store that needs no keychain.
    ENV["HFD_SOCKET"] = testpath/"hfdd.sock"
    token = "hf_made_up_for_this_test"
    pipe_output("#{bin}/hfd login --with-token --offline --name test --store file", token, 0)
    begin
      assert_equal "#{token}\n", shell_output("#{bin}/hfd token")
    ensure
      system bin/"hfd", "service", "stop"
    end
  end
end
