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

    public override Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table) =>
        RequestHead.Encode(
            words, ProposalBAttachPstArm.Layout, RequestType.AttachTable,
            (RequestHead.Domain, domain), (RequestHead.Endpoint, endpoint),
            (ProposalBAttachPstArm.Format, ProposalBAttachPstArm.FormatArmSmmuV3),
            (ProposalBAttachPstArm.S1Fmt, table.S1Fmt), (ProposalBAttachPstArm.S1Dss, table.S1Dss),
            (ProposalBAttachPstArm.S1ContextPtr, table.S1ContextPtr), (ProposalBAttachPstArm.S1CdMax, table.S1CdMax));

    public override Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly) =>
        Invalidate(words, domain, pasid, (
            ProposalBInvalidate.Flags,
            ProposalBInvalidate.FlagConfig | (leafOnly ? ProposalBInvalidate.FlagLeaf : 0UL)));

    public override Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId) =>
        Invalidate(words, domain, pasid, (ProposalBInvalidate.Id, archId));

    protected override (Field Field, ulong Value) RangeScope =>
        (ProposalBInvalidate.Scope, ProposalBInvalidate.ScopeVa);

    private static Span<ulong> Invalidate(
        Span<ulong> words, uint domain, uint pasid, (Field Field, ulong Value) what) => RequestHead.Encode(
        words, ProposalBInvalidate.Layout, RequestType.Invalidate,
        (ProposalBInvalidate.Scope, ProposalBInvalidate.ScopePasid),
        (ProposalBInvalidate.Domain, domain), (ProposalBInvalidate.Pasid, pasid), what);
}
