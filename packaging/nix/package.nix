{
  lib,
  stdenv,
  rustPlatform,
  installShellFiles,
  fetchurl,
}:

rustPlatform.buildRustPackage {
  pname = "hfd";
  version = "@VERSION@";
  src = fetchurl {
    url = "@URL@";
    sha256 = "@SHA256@";
  };

  # The release's own, whose hashes the crates are held against.
  cargoLock.lockFile = ./Cargo.lock;
  cargoBuildFlags = [ "--package=hfd" "--package=hfd-daemon" "--bins" ];

  # They need a keychain, a session bus and other users.
  doCheck = false;

  nativeBuildInputs = [ installShellFiles ];

  postInstall = ''
    # git asks it by this name.
    ln -s hfd $out/bin/git-credential-hfd
  ''
  + lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    installShellCompletion --cmd hfd \
      --bash <($out/bin/hfd completions bash) \
      --zsh <($out/bin/hfd completions zsh) \
      --fish <($out/bin/hfd completions fish)
    $out/bin/hfd man man1
    installManPage man1/*
  ''
  + lib.optionalString stdenv.hostPlatform.isLinux ''
    installManPage packaging/linux/hfdd.1
    # Quoted as hfd writes its own, so that it knows this for the same.
    install -Dm644 -t $out/share/systemd/user packaging/systemd/hfd.service
    substituteInPlace $out/share/systemd/user/hfd.service --replace-fail /usr/bin/hfdd $out/bin/hfdd
  '';

  doInstallCheck = true;
  installCheckPhase = ''
    $out/bin/hfd --version | grep -F "hfd $version"
    $out/bin/hfdd --version | grep -F "hfdd $version"
  '';

  meta = {
    description = "One login for every Hugging Face tool, kept in the keychain";
    homepage = "@REPOSITORY@";
    changelog = "@REPOSITORY@/blob/v@VERSION@/CHANGELOG.md";
    license = with lib.licenses; [ mit asl20 ];
    mainProgram = "hfd";
    platforms = lib.platforms.linux ++ lib.platforms.darwin;
  };
}
