// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Drivers.IntelVtd.Formats;

/// <summary>Names of the fault reasons. Intel VT-d, D51397-018 (rev 5.10), fault reason encodings.</summary>
internal static class FaultReasonNames
{
    private static readonly Dictionary<int, string> s_names = All.ToDictionary(n => (int)n.Value, n => n.Name);

    /// <param name="reason">Value of FR, 0 to 255.</param>
    public static string Of(int reason) => s_names.TryGetValue(reason, out string? name)
        ? name
        : Text($"reason {reason:x2}h, which revision 5.10 does not define");

    /// <summary>Reason and name, for explanations of <c>fault_record.FR</c>.</summary>
    public static (ulong Value, string Name)[] All =>
    [
        (0x30, "bad root table address register"),
        (0x31, "request with PASID in legacy mode"),
        (0x32, "page request in legacy mode"),
        (0x33, "abort-DMA mode"),
        (0x38, "root entry: access error"),
        (0x39, "root entry: not present"),
        (0x3A, "root entry: reserved bits"),
        (0x40, "context entry: access error"),
        (0x41, "context entry: not present"),
        (0x42, "context entry: reserved bits"),
        (0x43, "context entry: invalid"),
        (0x44, "context entry: DTE = 0"),
        (0x45, "context entry: PASIDE = 0"),
        (0x46, "PASID above PDTS"),
        (0x47, "context entry: PRE = 0"),
        (0x48, "PASID equals RID_PASID"),
        (0x49, "context entry: EPTR = 0"),
        (0x50, "PASID directory entry: access error"),
        (0x51, "PASID directory entry: not present"),
        (0x52, "PASID directory entry: reserved bits"),
        (0x58, "PASID entry: access error"),
        (0x59, "PASID entry: not present"),
        (0x5A, "PASID entry: reserved bits"),
        (0x5B, "PASID entry: invalid (AW, PGTT, FSPM)"),
        (0x5C, "execute request not supported"),
        (0x5D, "PASID entry: SRE = 0"),
        (0x70, "first stage: access error"),
        (0x71, "first stage: not present"),
        (0x72, "first stage: reserved bits"),
        (0x73, "FSPTPTR: access error"),
        (0x74, "nested: address above MGAW"),
        (0x75, "nested: permission"),
        (0x76, "nested: permission"),
        (0x77, "nested: permission"),
        (0x78, "second stage: access error"),
        (0x79, "second stage: permission"),
        (0x7A, "second stage: reserved bits"),
        (0x7B, "SSPTPTR: access error"),
        (0x7C, "second stage: accessed/dirty update"),
        (0x7D, "second stage: accessed/dirty update"),
        (0x80, "address not canonical"),
        (0x81, "user/supervisor"),
        (0x83, "FSPTPTR above the host address width"),
        (0x84, "address above the adjusted guest address width"),
        (0x85, "no write permission"),
        (0x86, "no read permission"),
        (0x87, "interrupt address range"),
        (0x89, "PASID above ECAP.PSS"),
        (0x90, "first stage: accessed/dirty update"),
        (0x91, "first stage: accessed/dirty update"),
    ];
}
