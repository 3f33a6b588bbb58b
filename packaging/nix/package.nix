# SPDX-License-Identifier: GPL-3.0-or-later
# callPackage ./package.nix { }, from a release tarball or a checkout.
{
  lib,
  stdenv,
  rustPlatform,
  cargo,
  rustc,
  meson,
  ninja,
  pkg-config,
  python3,
  krb5,
  samba,
  talloc,
  tevent,
  withLibrary ? true,
}:

stdenv.mkDerivation (finalAttrs: {
  pname = "swnclient";
  version = "0.1.0";

  src = lib.cleanSource ../..;

  cargoDeps = rustPlatform.importCargoLock { lockFile = ../../Cargo.lock; };

  nativeBuildInputs = [
    cargo
    meson
    ninja
    pkg-config
    python3
    rustc
    rustPlatform.cargoSetupHook
  ];

  buildInputs = [
    krb5
  ]
  ++ lib.optionals withLibrary [
    samba
    talloc
    tevent
  ];

  mesonFlags = [
    (lib.mesonBool "library" withLibrary)
    (lib.mesonOption "systemdsystemunitdir" "${placeholder "out"}/lib/systemd/system")
  ];

  postPatch = ''
    patchShebangs packaging tests/packaging
  '';

  meta = {
    description = "SMB witness client: transparent failover for cifs mounts";
    homepage = "https://swnclient.example/";
    license = lib.licenses.gpl3Plus;
    mainProgram = "swnd";
    platforms = lib.platforms.linux;
  };
})
