// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Queues;

/// <summary>One fault that the device reported: the three words of a <see cref="FaultEvent"/>.</summary>
/// <param name="Word0">Reason and flags.</param>
/// <param name="Word1">Endpoint; in proposal B the PASID.</param>
internal readonly record struct FaultRecord(ulong Word0, ulong Word1, ulong Word2)
{
    public FaultReason Reason => (FaultReason)Get(FaultEvent.Reason);
    public uint Flags => (uint)Get(FaultEvent.Flags);
    public uint Endpoint => (uint)Get(FaultEvent.Endpoint);

    /// <summary>With which PASID: in proposal B only, else reserved bytes.</summary>
    public uint Pasid => (uint)Get(FaultEvent.Pasid);

    public ulong Address => Get(FaultEvent.Address);

    /// <param name="hasPasid">Whether the dialect puts a PASID into it.</param>
    public IommuFault Decode(bool hasPasid)
    {
        // Nothing says whether proposal B's PASID is valid. Number 0 belongs to requests without one (S1DSS = 2).
        uint pasid = hasPasid ? Pasid : 0;
        uint flags = Flags;
        return new IommuFault(
            new RequesterId(Endpoint),
            pasid is > 0 and <= PasidFramework.Identifiers.Pasid.MaxValue ? new Pasid(pasid) : null,
            (flags & FaultEvent.FlagAddress) != 0 ? Address : null,
            (flags & FaultEvent.FlagWrite) != 0 ? true : (flags & FaultEvent.FlagRead) != 0 ? false : null,
            (int)Reason,
            Reason switch
            {
                FaultReason.Unknown => "UNKNOWN: the device does not say why",
                FaultReason.Domain => "DOMAIN: the endpoint is in no domain, or its domain's configuration is at fault",
                FaultReason.Mapping => "MAPPING: nothing is mapped there for this kind of access",
                _ => Text($"reason {(int)Reason}, which the standard does not define"),
            },
            [Word0, Word1, Word2]);
    }

    private ulong Get(Field field) => ((ReadOnlySpan<ulong>)[Word0, Word1, Word2]).Get(field);
}
