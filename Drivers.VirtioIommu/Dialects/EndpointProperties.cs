// SPDX-License-Identifier: Apache-2.0
using System.Buffers.Binary;

namespace PasidFramework.Drivers.VirtioIommu.Dialects;

/// <summary>A range of addresses that no mapping may use; both ends included.</summary>
internal readonly record struct ReservedRegion(byte Subtype, ulong Start, ulong Last);

/// <summary>What a PROBE said of an endpoint; what it did not say is null or empty.</summary>
internal sealed class EndpointProperties
{
    public static EndpointProperties None { get; } = new();
    public int? PasidBits { get; set; }

    /// <summary>PASID table formats that it can use, as the dialect numbers them.</summary>
    public List<int> PasidTableFormats { get; } = [];

    /// <summary>Whether two-level PASID tables are supported; null where it was not said.</summary>
    public bool? TwoLevelTables { get; private set; }

    /// <summary>ASID width in bits; null where it was not said.</summary>
    public int? AsidBits { get; private set; }

    public List<ReservedRegion> ReservedRegions { get; } = [];

    /// <param name="bytes">The properties part of the answer.</param>
    /// <param name="dialect">Which meaning numbers above the standard's have; null for the standard alone.</param>
    /// <remarks>Unknown properties are skipped. A list that runs over its buffer ends there.</remarks>
    public static EndpointProperties Parse(ReadOnlySpan<byte> bytes, TableDialect? dialect)
    {
        var found = new EndpointProperties();
        Span<ulong> words = stackalloc ulong[3];
        while (bytes.Length >= ProbeProperty.HeadBytes)
        {
            int type = BinaryPrimitives.ReadUInt16LittleEndian(bytes) & ProbeProperty.TypeMask;
            int size = ProbeProperty.HeadBytes + BinaryPrimitives.ReadUInt16LittleEndian(bytes[2..]);
            if (type == ProbeProperty.TypeNone || size > bytes.Length)
            {
                break;
            }

            RequestHead.Load(bytes[..size], words);
            if (type == ResvMemProperty.TypeNumber)
            {
                found.ReservedRegions.Add(new ReservedRegion(
                    (byte)words.Get(ResvMemProperty.Subtype),
                    words.Get(ResvMemProperty.Start),
                    words.Get(ResvMemProperty.End)));
            }
            else
            {
                dialect?.ReadProperty(found, type, words);
            }

            bytes = bytes[size..];
        }

        return found;
    }

    /// <summary>Proposal E, the SMMUv3 identification registers (Arm IHI 0070 section 6.3, IDR0 and IDR1).</summary>
    public void SetArmIdentification(uint idr0, uint idr1)
    {
        PasidBits = (int)((idr1 >> 6) & 0x1F);
        TwoLevelTables = (idr0 & (1u << 19)) != 0;
        AsidBits = (idr0 & (1u << 12)) != 0 ? 16 : 8;
    }
}
