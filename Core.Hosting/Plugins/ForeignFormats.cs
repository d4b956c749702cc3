// SPDX-License-Identifier: Apache-2.0
using System.Composition.Hosting.Core;

namespace PasidFramework.Hosting.Plugins;

/// <summary>
/// Lends the table formats, page table formats and table readers of other plug-ins to one plug-in's container, by
/// contract name. It is asked while a part is being built, so the plug-in that has the format can be composed just
/// then, and every part of a plug-in lives in one container.
/// </summary>
internal sealed class ForeignFormats(
    Plugin importer,
    Func<Plugin, string, IPasidTableFormat?> find,
    Func<Plugin, string, IPageTableFormat?> findPages,
    Func<Plugin, string, ITableReader?> findReader) : ExportDescriptorProvider
{
    public override IEnumerable<ExportDescriptorPromise> GetExportDescriptors(
        CompositionContract contract, DependencyAccessor descriptorAccessor)
    {
        if (contract.ContractName is not { } stated || contract.MetadataConstraints?.Any() == true)
        {
            return NoExportDescriptors;
        }

        string name = stated;
        object? format = null;
        if (contract.ContractType == typeof(IPasidTableFormat) && !importer.Manifest.TableFormats.Contains(name))
        {
            format = find(importer, name);
        }
        else if (contract.ContractType == typeof(IPageTableFormat)
            && stated.StartsWith(PageTableFormatAttribute.ImportPrefix, StringComparison.Ordinal))
        {
            name = stated[PageTableFormatAttribute.ImportPrefix.Length..];
            format = findPages(importer, name);
        }
        else if (contract.ContractType == typeof(ITableReader)
            && stated.StartsWith(TableReaderAttribute.ImportPrefix, StringComparison.Ordinal))
        {
            name = stated[TableReaderAttribute.ImportPrefix.Length..];
            format = findReader(importer, name);
        }

        if (format is null)
        {
            return NoExportDescriptors;
        }

        Dictionary<string, object> metadata = new() { [nameof(PasidTableFormatAttribute.Name)] = name };
        return
        [
            new ExportDescriptorPromise(
                contract,
                $"table format '{stated}' of another plug-in",
                isShared: true,
                NoDependencies,
                _ => ExportDescriptor.Create((_, _) => format, metadata)),
        ];
    }
}
