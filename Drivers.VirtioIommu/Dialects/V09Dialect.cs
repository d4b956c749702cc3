// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>J.-P. Brucker's v0.9-devel header (proposal B): attach type 6 with the fields of the SMMUv3 table,
/// invalidate type 7.</summary>
internal sealed class V09Dialect : TableDialect
{
    public static V09Dialect Instance { get; } = new();
    public override string Name => "v0.9-devel";
    public override string Letter => "B";
    public override ulong AttachFeature => FeatureBits.ProposalBAttachTable;

    // Bits 5 and 6 of the standard are not in this dialect: 5 is its own, 6 was not there yet.
    public override ulong KnownFeatures =>
        FeatureBits.DomainRange | FeatureBits.MapUnmap | FeatureBits.Probe | AttachFeature;

    public override int AttachBytes => ProposalBAttachPstArm.DriverBytes;
    public override int InvalidateBytes => ProposalBInvalidate.DriverBytes;
    public override bool PropertiesRequired => true;
    public override bool FaultsNamePasid => true;

    public override void ReadProperty(EndpointProperties found, int type, ReadOnlySpan<ulong> words)
    {
        if (type == ProposalBPasidSizeProperty.TypeNumber)
        {
            found.PasidBits = (int)words.Get(ProposalBPasidSizeProperty.Bits);
        }
        else if (type == ProposalBPasidTableFormatProperty.TypeNumber)
        {
            found.PasidTableFormats.Add((int)words.Get(ProposalBPasidTableFormatProperty.Format));
        }
    }

    public override (Errno Errno, string Reason)? Check(EndpointProperties properties, ulong s1Fmt)
    {
        if (properties.PasidTableFormats.Contains(ProposalBAttachPstArm.FormatArmSmmuV3))
        {
            return null;
        }

        string has = properties.PasidTableFormats.Count == 0
            ? "no property PASID_TABLE_FMT (7)"
            : "only PASID table formats " + string.Join(", ", properties.PasidTableFormats);
        return (Errno.EOPNOTSUPP, $"it has {has}; this driver writes format 2, Arm SMMUv3");
    }

    public override Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table)
    {
        words = RequestHead.Begin(words, ProposalBAttachPstArm.Layout, RequestType.AttachTable);
        words.Set(RequestHead.Domain, domain);
        words.Set(RequestHead.Endpoint, endpoint);
        words.Set(ProposalBAttachPstArm.Format, ProposalBAttachPstArm.FormatArmSmmuV3);
        words.Set(ProposalBAttachPstArm.S1Fmt, table.S1Fmt);
        words.Set(ProposalBAttachPstArm.S1Dss, table.S1Dss);
        words.Set(ProposalBAttachPstArm.S1ContextPtr, table.S1ContextPtr);
        words.Set(ProposalBAttachPstArm.S1CdMax, table.S1CdMax);
        return words;
    }

    public override Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly)
    {
        words = Begin(words, ProposalBInvalidate.ScopePasid, domain, pasid);
        words.Set(
            ProposalBInvalidate.Flags,
            ProposalBInvalidate.FlagConfig | (leafOnly ? ProposalBInvalidate.FlagLeaf : 0UL));
        return words;
    }

    public override Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId)
    {
        words = Begin(words, ProposalBInvalidate.ScopePasid, domain, pasid);
        words.Set(ProposalBInvalidate.Id, archId);
        return words;
    }

    public override Span<ulong> EncodeRange(
        Span<ulong> words, uint domain, uint pasid, uint archId, ulong firstByte, ulong pages, int granuleLog2)
    {
        words = Begin(words, ProposalBInvalidate.ScopeVa, domain, pasid);
        words.Set(ProposalBInvalidate.Id, archId);
        words.Set(ProposalBInvalidate.VirtStart, firstByte);
        words.Set(ProposalBInvalidate.NrPages, pages);
        words.Set(ProposalBInvalidate.Granule, (ulong)granuleLog2);
        return words;
    }

    private static Span<ulong> Begin(Span<ulong> words, ushort scope, uint domain, uint pasid)
    {
        words = RequestHead.Begin(words, ProposalBInvalidate.Layout, RequestType.Invalidate);
        words.Set(ProposalBInvalidate.Scope, scope);
        words.Set(ProposalBInvalidate.Domain, domain);
        words.Set(ProposalBInvalidate.Pasid, pasid);
        return words;
    }
}
