// SPDX-License-Identifier: Apache-2.0
using PasidFramework.Drivers.IntelVtd.Formats;
using PasidFramework.Drivers.VirtioIommu.Formats;
using PasidFramework.Records;

namespace PasidFramework.Qemu.Tests.Support;

/// <summary>Structures built by the drivers' own declarations, field by field.</summary>
internal static class Structure
{
    public static ulong[] Vtd(string id, params (string Field, ulong Value)[] fields) =>
        Build(IntelVtdLayouts.All.Single(l => l.Id == "intel-vtd/" + id), fields);

    public static ulong[] Virtio(string id, params (string Field, ulong Value)[] fields) =>
        Build(VirtioIommuLayouts.All.Single(l => l.Id == "virtio-iommu/" + id), fields);

    /// <summary>Stores the words, the first one last.</summary>
    public static void Store(this IPhysicalMemory memory, ulong address, ReadOnlySpan<ulong> words)
    {
        for (int i = words.Length - 1; i >= 0; i--)
        {
            memory.WriteQword(address + ((ulong)i * 8), words[i]);
        }
    }

    private static ulong[] Build(Layout layout, (string Field, ulong Value)[] fields)
    {
        var words = new ulong[layout.Words];
        layout.Initialize(words);
        if (layout.Find("type") is { } type)
        {
            // A request that has no other type.
            type.Set(words, type.Values.Keys.Single());
        }

        foreach ((string field, ulong value) in fields)
        {
            OpResult set = layout.TrySet(words, field, value);
            Assert.True(set.IsOk, set.ToString());
        }

        return words;
    }
}
