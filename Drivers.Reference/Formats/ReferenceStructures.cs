// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Drivers.Reference.Formats;

/// <summary>Every structure of the reference architecture, for encoders, decoders and explanations.</summary>
[StructureProvider("reference")]
internal sealed class ReferenceStructures : IStructureProvider
{
    public IReadOnlyList<Layout> Layouts { get; } =
    [
        Id.Layout, Control.Layout, DeviceTable.Layout, CommandStatus.Layout, FaultRecord.Layout,
        DeviceEntry.Layout, DirectoryEntry.Layout, PasidEntry.Layout, PageTableEntry.Layout,
        Command.DeviceLayout, Command.PasidTableLayout, Command.TranslationsLayout, Command.DeviceTlbLayout,
    ];
}
