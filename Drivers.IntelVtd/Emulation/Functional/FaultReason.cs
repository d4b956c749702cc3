// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>
/// Fault reasons that this hardware records. Intel VT-d, D51397-018 (rev 5.10), fault reason encodings.
/// </summary>
internal static class FaultReason
{
    public const int RootTableAddress = 0x30;
    public const int PasidInLegacyMode = 0x31;
    public const int AbortMode = 0x33;
    public const int RootAccess = 0x38;
    public const int RootNotPresent = 0x39;
    public const int RootReserved = 0x3A;
    public const int ContextAccess = 0x40;
    public const int ContextNotPresent = 0x41;
    public const int ContextReserved = 0x42;
    public const int ContextInvalid = 0x43;
    public const int PasidNotAllowed = 0x45;
    public const int PasidBeyondDirectory = 0x46;
    public const int PasidIsRidPasid = 0x48;
    public const int DirectoryAccess = 0x50;
    public const int DirectoryNotPresent = 0x51;
    public const int DirectoryReserved = 0x52;
    public const int EntryAccess = 0x58;
    public const int EntryNotPresent = 0x59;
    public const int EntryReserved = 0x5A;
    public const int EntryInvalid = 0x5B;
    public const int FirstStageAccess = 0x70;
    public const int FirstStageNotPresent = 0x71;
    public const int FirstStageReserved = 0x72;
    public const int FirstStageTableAccess = 0x73;
    public const int SecondStageAccess = 0x78;
    public const int SecondStagePermission = 0x79;
    public const int SecondStageReserved = 0x7A;
    public const int SecondStageTableAccess = 0x7B;
    public const int NonCanonical = 0x80;
    public const int UserNotAllowed = 0x81;
    public const int TableBeyondHostAddresses = 0x83;
    public const int BeyondWidth = 0x84;
    public const int NotWritable = 0x85;
    public const int PasidBeyondHardware = 0x89;

    public static string Describe(int reason) => reason switch
    {
        RootTableAddress => "the root table address register is invalid for this hardware",
        PasidInLegacyMode => "a request with PASID in legacy mode",
        AbortMode => "abort-DMA mode",
        RootAccess => "the root entry cannot be read",
        RootNotPresent => "the root entry is not present",
        RootReserved => "the root entry has reserved bits set",
        ContextAccess => "the context entry cannot be read",
        ContextNotPresent => "the context entry is not present",
        ContextReserved => "the context entry has reserved bits set",
        ContextInvalid => "the context entry is invalid",
        PasidNotAllowed => "the context entry allows no requests with PASID (PASIDE = 0)",
        PasidBeyondDirectory => "the PASID is beyond the directory (PDTS)",
        PasidIsRidPasid => "the PASID is the context entry's RID_PASID",
        DirectoryAccess => "the PASID directory entry cannot be read",
        DirectoryNotPresent => "the PASID directory entry is not present",
        DirectoryReserved => "the PASID directory entry has reserved bits set",
        EntryAccess => "the PASID table entry cannot be read",
        EntryNotPresent => "the PASID table entry is not present",
        EntryReserved => "the PASID table entry has reserved bits set",
        EntryInvalid => "the PASID table entry is invalid (PGTT, AW or FSPM)",
        FirstStageAccess => "a first-stage table cannot be read",
        FirstStageNotPresent => "a first-stage entry is not present",
        FirstStageReserved => "a first-stage entry has reserved bits set",
        FirstStageTableAccess => "the table at FSPTPTR cannot be read",
        SecondStageAccess => "a second-stage table cannot be read",
        SecondStagePermission => "the second stage does not permit the access",
        SecondStageReserved => "a second-stage entry has reserved bits set",
        SecondStageTableAccess => "the table at SSPTPTR cannot be read",
        UserNotAllowed => "the first stage does not permit user accesses",
        BeyondWidth => "the address is beyond the second stage's width (AW)",
        NotWritable => "the first stage does not permit writes",
        NonCanonical => "the address is not canonical",
        TableBeyondHostAddresses => "FSPTPTR is beyond the host address width",
        PasidBeyondHardware => "the PASID is wider than ECAP.PSS",
        _ => Text($"fault {reason:x2}h"),
    };
}
