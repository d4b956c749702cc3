using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Drivers.VirtioIommu.Queues;
using PasidFramework.Records;
using PasidFramework.Results;

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>
/// One of the proposals for PASID tables over virtio-iommu. They are not standard and contradict one another: the same
/// numbers mean other things in each, so nothing outside of a dialect knows them.
/// </summary>
internal abstract class TableDialect
{
    /// <summary>Words of the longest request of any dialect.</summary>
    public const int MaxWords = 16;

    /// <summary>The dialect's name as users type it.</summary>
    public abstract string Name { get; }

    /// <summary>The feature bit that offers attaching tables.</summary>
    public abstract ulong AttachFeature { get; }

    /// <summary>Features that the driver can use under this dialect, the attach feature included.</summary>
    public abstract ulong KnownFeatures { get; }

    /// <summary>Bytes of an attach request before its tail.</summary>
    public abstract int AttachBytes { get; }

    /// <summary>Bytes of an invalidate request before its tail.</summary>
    public abstract int InvalidateBytes { get; }

    /// <summary>Whether an endpoint must say by a property that it takes PASID tables.</summary>
    public abstract bool PropertiesRequired { get; }

    /// <summary>Whether fault records have a PASID.</summary>
    public abstract bool FaultsNamePasid { get; }

    /// <summary>Takes over a property of the dialect.</summary>
    /// <param name="found">Where it goes.</param>
    /// <param name="type">The property's type.</param>
    /// <param name="words">The property from its type on, padded with zeros.</param>
    public abstract void ReadProperty(EndpointProperties found, int type, ReadOnlySpan<ulong> words);

    /// <summary>What speaks against a table for an endpoint with these properties; null for nothing.</summary>
    public abstract (Errno Errno, string Reason)? Check(EndpointProperties properties, ulong s1Fmt);

    /// <summary>Writes the request that attaches a PASID table in SMMUv3 format.</summary>
    public abstract Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table);

    /// <summary>Writes the invalidation of a PASID's table entry.</summary>
    /// <param name="words">Where.</param>
    /// <param name="domain">Domain id.</param>
    /// <param name="pasid">The entry.</param>
    /// <param name="leafOnly">Whether the path to the entry is unchanged.</param>
    public abstract Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly);

    /// <summary>Writes the invalidation of all translations of a PASID.</summary>
    public abstract Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId);

    /// <summary>Writes the invalidation of the translations of a range of pages, of all levels.</summary>
    public abstract Span<ulong> EncodeRange(
        Span<ulong> words, uint domain, uint pasid, uint archId, ulong firstByte, ulong pages, int granuleLog2);

    /// <summary>Finds a dialect.</summary>
    /// <param name="name">What the user typed: none, B or E.</param>
    /// <param name="dialect">The dialect; null for none.</param>
    /// <returns>Whether the name is known.</returns>
    public static bool TryParse(string name, out TableDialect? dialect)
    {
        dialect = name switch
        {
            "B" => ProposalBDialect.Instance,
            "E" => ProposalEDialect.Instance,
            _ => null,
        };
        return dialect is not null || name == "none";
    }
}

/// <summary>The words of an attach request that come from the table's writer.</summary>
/// <param name="S1Fmt">Shape of the table.</param>
/// <param name="S1ContextPtr">Byte address of the table.</param>
/// <param name="S1CdMax">log2 of its entries.</param>
/// <param name="S1Dss">What requests without PASID do.</param>
/// <param name="Ste0">First word of a stream table entry that points to it.</param>
/// <param name="Ste1">Second word.</param>
internal readonly record struct AttachWords(
    ulong S1Fmt, ulong S1ContextPtr, ulong S1CdMax, ulong S1Dss, ulong Ste0, ulong Ste1)
{
    /// <summary>Takes the words from a table.</summary>
    /// <returns>The words; EINVAL where the table's writer does not name one of them.</returns>
    public static OpResult<AttachWords> From(IReadOnlyDictionary<string, ulong> parameters)
    {
        foreach (string name in s_names)
        {
            if (!parameters.ContainsKey(name))
            {
                return OpResult<AttachWords>.Refuse(
                    Errno.EINVAL,
                    $"virtio-iommu: the table format arm-smmuv3 gives no attach parameter {name}; needed are "
                    + string.Join(", ", s_names));
            }
        }

        return OpResult<AttachWords>.Ok(new AttachWords(
            parameters[s_names[0]],
            parameters[s_names[1]],
            parameters[s_names[2]],
            parameters[s_names[3]],
            parameters[s_names[4]],
            parameters[s_names[5]]));
    }

    private static readonly string[] s_names = ["S1Fmt", "S1ContextPtr", "S1CDMax", "S1DSS", "STE0", "STE1"];
}

/// <summary>Proposal B: attach type 6 with the fields of the SMMUv3 table, invalidate type 7.</summary>
internal sealed class ProposalBDialect : TableDialect
{
    public static ProposalBDialect Instance { get; } = new();

    public override string Name => "B";

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
            found.SetPasidBits((int)words.Get(ProposalBPasidSizeProperty.Bits));
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
        words = StandardRequests.Begin(words, ProposalBAttachPstArm.Layout, RequestType.AttachTable);
        words.Set(ProposalBAttachPstArm.Domain, domain);
        words.Set(ProposalBAttachPstArm.Endpoint, endpoint);
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
        words = StandardRequests.Begin(words, ProposalBInvalidate.Layout, RequestType.Invalidate);
        words.Set(ProposalBInvalidate.Scope, scope);
        words.Set(ProposalBInvalidate.Domain, domain);
        words.Set(ProposalBInvalidate.Pasid, pasid);
        return words;
    }
}

/// <summary>Proposal E: attach type 6 with raw words of a stream table entry, invalidate type 7 by cache.</summary>
internal sealed class ProposalEDialect : TableDialect
{
    public static ProposalEDialect Instance { get; } = new();

    public override string Name => "E";

    public override ulong AttachFeature => FeatureBits.ProposalEAttachTable;

    public override ulong KnownFeatures =>
        FeatureBits.DomainRange | FeatureBits.MapUnmap | FeatureBits.Probe | FeatureBits.Mmio | FeatureBits.BypassConfig
        | AttachFeature;

    public override int AttachBytes => ProposalEAttachArmSmmu3.DriverBytes;

    public override int InvalidateBytes => ProposalEInvalidate.DriverBytes;

    public override bool PropertiesRequired => false;

    public override bool FaultsNamePasid => false;

    public override void ReadProperty(EndpointProperties found, int type, ReadOnlySpan<ulong> words)
    {
        if (type == ProposalEArmProperty.TypeNumber)
        {
            found.SetArmIdentification(
                (uint)words.Get(ProposalEArmProperty.Idr0), (uint)words.Get(ProposalEArmProperty.Idr1));
        }
    }

    public override (Errno Errno, string Reason)? Check(EndpointProperties properties, ulong s1Fmt) =>
        s1Fmt != 0 && properties.TwoLevelTables == false
            ? (Errno.EOPNOTSUPP, "it takes linear PASID tables only (IDR0.CD2L is 0) and the table has two levels")
            : null;

    public override Span<ulong> EncodeAttach(Span<ulong> words, uint domain, uint endpoint, in AttachWords table)
    {
        words = StandardRequests.Begin(words, ProposalEAttachArmSmmu3.Layout, RequestType.AttachTable);
        words.Set(ProposalEAttachArmSmmu3.Domain, domain);
        words.Set(ProposalEAttachArmSmmu3.Endpoint, endpoint);
        words.Set(ProposalEAttachArmSmmu3.Format, ProposalEAttachArmSmmu3.FormatArmSmmu3);
        words.Set(ProposalEAttachArmSmmu3.Ste0, table.Ste0);
        words.Set(ProposalEAttachArmSmmu3.Ste1, table.Ste1);
        return words;
    }

    public override Span<ulong> EncodeConfiguration(Span<ulong> words, uint domain, uint pasid, bool leafOnly)
    {
        words = Begin(words, ProposalEInvalidate.ScopePasid, ProposalEInvalidate.CachePasid, domain, pasid);
        words.Set(
            ProposalEInvalidate.Flags,
            ProposalEInvalidate.FlagPasid | (leafOnly ? ProposalEInvalidate.FlagLeaf : 0UL));
        return words;
    }

    public override Span<ulong> EncodeTranslations(Span<ulong> words, uint domain, uint pasid, uint archId)
    {
        words = Begin(words, ProposalEInvalidate.ScopePasid, ProposalEInvalidate.CacheTlb, domain, pasid);
        words.Set(ProposalEInvalidate.Flags, ProposalEInvalidate.FlagPasid | ProposalEInvalidate.FlagId);
        words.Set(ProposalEInvalidate.Id, archId);
        return words;
    }

    public override Span<ulong> EncodeRange(
        Span<ulong> words, uint domain, uint pasid, uint archId, ulong firstByte, ulong pages, int granuleLog2)
    {
        words = Begin(words, ProposalEInvalidate.ScopeAddress, ProposalEInvalidate.CacheTlb, domain, pasid);
        words.Set(ProposalEInvalidate.Flags, ProposalEInvalidate.FlagPasid | ProposalEInvalidate.FlagId);
        words.Set(ProposalEInvalidate.Id, archId);
        words.Set(ProposalEInvalidate.Address, firstByte);
        words.Set(ProposalEInvalidate.NrPages, pages);
        words.Set(ProposalEInvalidate.PageSize, (ulong)granuleLog2);
        return words;
    }

    private static Span<ulong> Begin(Span<ulong> words, byte scope, byte caches, uint domain, uint pasid)
    {
        words = StandardRequests.Begin(words, ProposalEInvalidate.Layout, RequestType.Invalidate);
        words.Set(ProposalEInvalidate.Scope, scope);
        words.Set(ProposalEInvalidate.Caches, caches);
        words.Set(ProposalEInvalidate.Domain, domain);
        words.Set(ProposalEInvalidate.Pasid, pasid);
        return words;
    }
}
