using FsCheck;
using FsCheck.Fluent;
using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Drivers.VirtioIommu.Requests;
using PasidFramework.Drivers.VirtioIommu.Tests.Support;
using PasidFramework.Records;

namespace PasidFramework.Drivers.VirtioIommu.Tests;

public sealed class FormatTests
{
    private static readonly AttachWords s_table =
        new(1, 0x840000000, 16, 2, 0x800000084000001b, 0x100000d6);

    public static TheoryData<string> Names => [.. Vector.All.Keys];

    [Theory]
    [MemberData(nameof(Names))]
    public void A_vector_encodes_to_its_bytes(string name)
    {
        Vector vector = Vector.All[name];
        var words = new ulong[vector.Layout.Words];
        vector.Layout.Initialize(words);
        foreach ((string field, ulong value) in vector.Fields)
        {
            Assert.Equal(OpResult.Ok, vector.Layout.TrySet(words, field, value));
        }

        Assert.Equal(Convert.ToHexStringLower(vector.Bytes), Convert.ToHexStringLower(vector.Layout.ToBytes(words)));
        Assert.Empty(vector.Layout.Check(words));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_vectors_bytes_decode_to_its_fields(string name)
    {
        Vector vector = Vector.All[name];

        ulong[] words = vector.Layout.FromBytes(vector.Bytes);

        foreach (LayoutField field in vector.Layout.Fields.Where(f => f.IsNamed))
        {
            Assert.Equal(vector.Fields.GetValueOrDefault(field.Mnemonic), field.Get(words));
        }
    }

    [Fact]
    public void Every_structure_has_a_vector()
    {
        Assert.Equal(
            VirtioIommuLayouts.All.Select(l => l.Id).Order(StringComparer.Ordinal),
            Vector.All.Values.Select(v => v.Layout.Id).Distinct().Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("virtio-iommu/attach", 192, "type domain endpoint flags")]
    [InlineData("virtio-iommu/detach", 192, "type domain endpoint")]
    [InlineData("virtio-iommu/map", 320, "type domain virt_start virt_end phys_start flags")]
    [InlineData("virtio-iommu/unmap", 256, "type domain virt_start virt_end")]
    [InlineData("virtio-iommu/probe_head", 576, "type endpoint")]
    [InlineData("virtio-iommu/resv_mem_property", 192, "type length subtype start end")]
    [InlineData("virtio-iommu/fault", 192, "reason flags endpoint address")]
    [InlineData("virtio-iommu/tail", 32, "status")]
    [InlineData("virtio-iommu/proposalB/attach_pst_arm", 640, "type domain endpoint format s1fmt s1dss s1contextptr s1cdmax")]
    [InlineData("virtio-iommu/proposalB/invalidate", 512, "type scope flags domain pasid id virt_start nr_pages granule")]
    [InlineData("virtio-iommu/proposalE/attach_arm_smmu3", 1024, "type domain endpoint format ste0 ste1")]
    [InlineData("virtio-iommu/proposalE/invalidate", 512, "type scope caches flags domain pasid id address nr_pages page_size")]
    public void A_structure_has_the_size_and_fields_that_users_know(string id, int bits, string fields)
    {
        Layout layout = VirtioIommuLayouts.All.Single(l => l.Id == id);

        Assert.Equal(bits, layout.Bits);
        Assert.Equal(fields, string.Join(' ', layout.Fields.Where(f => f.IsNamed).Select(f => f.Mnemonic)));
    }

    [Fact]
    public void A_proposal_says_in_id_and_source_that_it_is_one()
    {
        foreach (Layout layout in VirtioIommuLayouts.All)
        {
            Assert.Equal(
                layout.Id.Contains("/proposal", StringComparison.Ordinal),
                layout.Source.StartsWith("PROPOSAL", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void D11_every_field_survives_encoding_and_reserved_bits_stay_zero()
    {
        foreach (Layout layout in VirtioIommuLayouts.All)
        {
            LayoutField[] named = [.. layout.Fields.Where(f => f.IsNamed)];
            Prop.ForAll<ulong[]>(values =>
            {
                var words = new ulong[layout.Words];
                for (int i = 0; i < named.Length; i++)
                {
                    ulong value = Value(values, i) & named[i].Maximum;
                    Assert.True(layout.TrySet(words, named[i].Mnemonic, value).IsOk);
                }

                byte[] bytes = layout.ToBytes(words);
                ulong[] decoded = layout.FromBytes(bytes);
                for (int i = 0; i < named.Length; i++)
                {
                    Assert.Equal(Value(values, i) & named[i].Maximum, named[i].Get(decoded));
                }

                Assert.DoesNotContain(layout.Check(decoded), v => v.Field.StartsWith("RSVD", StringComparison.Ordinal));
                foreach (LayoutField ignored in layout.Fields.Where(f => f.Kind == FieldKind.Ignored))
                {
                    Assert.All(ignored.Parts, part => Assert.Equal(0UL, ((ReadOnlySpan<ulong>)decoded).Get(part)));
                }
            }).QuickCheckThrowOnFailure();
        }
    }

    [Fact]
    public void A_wrong_type_is_written_and_reported()
    {
        var words = new ulong[3];

        Assert.True(AttachRequest.Layout.TrySet(words, "type", 2).IsOk);

        Assert.Contains(AttachRequest.Layout.Check(words), v => v.Field == "type");
    }

    [Fact]
    public void A_range_that_ends_below_its_start_is_reported()
    {
        var words = new ulong[5];
        MapRequest.Layout.TrySet(words, "type", 3);
        MapRequest.Layout.TrySet(words, "virt_start", 0x2000);
        MapRequest.Layout.TrySet(words, "virt_end", 0x1fff);

        Assert.Contains(MapRequest.Layout.Check(words), v => v.Field == "virt_end");
    }

    [Theory]
    [InlineData("attach")]
    [InlineData("detach")]
    [InlineData("map")]
    [InlineData("unmap")]
    [InlineData("probe")]
    [InlineData("attach_pst_arm")]
    [InlineData("b_inv_config")]
    [InlineData("b_inv_path")]
    [InlineData("b_inv_tlb")]
    [InlineData("b_inv_range")]
    [InlineData("e_attach")]
    [InlineData("e_inv_config")]
    [InlineData("e_inv_path")]
    [InlineData("e_inv_tlb")]
    [InlineData("e_inv_range")]
    public void The_drivers_encoder_writes_the_vectors_bytes(string name)
    {
        // Whatever was in the buffer before must not show.
        Span<ulong> words = new ulong[TableDialect.MaxWords];
        words.Fill(0x5555_5555_5555_5555);
        TableDialect dialect = name.StartsWith("e_", StringComparison.Ordinal)
            ? ProposalEDialect.Instance
            : ProposalBDialect.Instance;

        Span<ulong> encoded = name switch
        {
            "attach" => StandardRequests.EncodeAttach(words, 1, 0x18, 0),
            "detach" => StandardRequests.EncodeDetach(words, 1, 0x18),
            "map" => StandardRequests.EncodeMap(words, 1, 0x10000, 0x1ffff, 0x80000000, 3),
            "unmap" => StandardRequests.EncodeUnmap(words, 1, 0x10000, 0x1ffff),
            "probe" => StandardRequests.EncodeProbe(words, 0x18),
            "attach_pst_arm" or "e_attach" => dialect.EncodeAttach(words, 1, 0x18, s_table),
            "b_inv_config" or "e_inv_config" => dialect.EncodeConfiguration(words, 1, 0x12345, leafOnly: true),
            "b_inv_path" or "e_inv_path" => dialect.EncodeConfiguration(words, 1, 0x12345, leafOnly: false),
            "b_inv_tlb" or "e_inv_tlb" => dialect.EncodeTranslations(words, 1, 0x12345, 0x2a),
            _ => dialect.EncodeRange(words, 1, 0x12345, 0x2a, 0x7f0012340000, 16, 12),
        };

        Vector vector = Vector.All[name];
        Assert.Equal(
            Convert.ToHexStringLower(vector.Bytes), Convert.ToHexStringLower(vector.Layout.ToBytes(encoded)));
    }

    [Fact]
    public void What_the_driver_writes_ends_where_the_tail_begins()
    {
        Assert.Equal(AttachRequest.DriverBytes, AttachRequest.Layout.Bytes - 4);
        Assert.Equal(DetachRequest.DriverBytes, DetachRequest.Layout.Bytes - 4);
        Assert.Equal(MapRequest.DriverBytes, MapRequest.Layout.Bytes - 4);
        Assert.Equal(UnmapRequest.DriverBytes, UnmapRequest.Layout.Bytes - 4);
        Assert.Equal(ProposalBAttachPstArm.DriverBytes, ProposalBAttachPstArm.Layout.Bytes - 4);
        Assert.Equal(ProposalBInvalidate.DriverBytes, ProposalBInvalidate.Layout.Bytes - 4);
        Assert.Equal(ProposalEAttachArmSmmu3.DriverBytes, ProposalEAttachArmSmmu3.Layout.Bytes - 4);
        Assert.Equal(ProposalEInvalidate.DriverBytes, ProposalEInvalidate.Layout.Bytes - 4);
        Assert.Equal(ProbeRequest.DriverBytes, ProbeRequest.Layout.Bytes);
    }

    private static ulong Value(ulong[] values, int index) =>
        index < values.Length ? values[index] * 0x9E37_79B9_7F4A_7C15 : ulong.MaxValue;
}
