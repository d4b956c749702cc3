// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.IntelVtd.Emulation.Functional;

/// <summary>
/// Fault reasons that this hardware records; <see cref="FaultReasonNames"/> has them in words. Intel VT-d, D51397-018
/// (rev 5.10), fault reason encodings.
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
}
