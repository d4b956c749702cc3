// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>Why an access was aborted. Reference architecture, section 5.</summary>
internal enum FaultCode
{
    None = 0,
    RequesterRange = 1,
    DeviceNotValid = 2,
    DeviceIllFormed = 3,
    NoPasid = 4,
    PasidRange = 5,
    DirectoryNotValid = 6,
    DirectoryIllFormed = 7,
    EntryNotValid = 8,
    EntryIllFormed = 9,
    AddressRange = 10,
    PageNotPresent = 11,
    PageIllFormed = 12,
    NotWritable = 13,
    Quiet = 14,
}

internal static class FaultCodes
{
    /// <summary>All that a record may have: <see cref="FaultCode.Quiet"/> leaves none.</summary>
    public static (ulong, string)[] Names { get; } =
    [
        .. Enum.GetValues<FaultCode>().Where(code => code is not (FaultCode.None or FaultCode.Quiet))
            .Select(code => ((ulong)code, Describe((int)code))),
    ];

    public static string Describe(int code) => (FaultCode)code switch
    {
        FaultCode.RequesterRange => "requester beyond the device table",
        FaultCode.DeviceNotValid => "device entry not valid",
        FaultCode.DeviceIllFormed => "device entry ill-formed",
        FaultCode.NoPasid => "request without PASID",
        FaultCode.PasidRange => "PASID beyond the table's width",
        FaultCode.DirectoryNotValid => "directory entry not valid",
        FaultCode.DirectoryIllFormed => "directory entry ill-formed",
        FaultCode.EntryNotValid => "PASID entry not valid",
        FaultCode.EntryIllFormed => "PASID entry ill-formed",
        FaultCode.AddressRange => "address beyond 48 bits",
        FaultCode.PageNotPresent => "page not present",
        FaultCode.PageIllFormed => "page table entry ill-formed",
        FaultCode.NotWritable => "page not writable",
        FaultCode.Quiet => "quiet PASID entry",
        _ => "unknown code",
    };
}
