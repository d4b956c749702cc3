using System.Composition.Hosting.Core;
using PasidFramework.Drivers;

namespace PasidFramework.Hosting;

/// <summary>
/// Lends the table formats of other plug-ins to one plug-in's container, by the format's name as contract name. It is
/// asked while a part is being built, so the plug-in that has the format can be composed just then, and every part of a
/// plug-in lives in one container.
/// </summary>
internal sealed class ForeignFormats(Plugin importer, Func<Plugin, string, IPasidTableFormat?> find) : ExportDescriptorProvider
{
    public override IEnumerable<ExportDescriptorPromise> GetExportDescriptors(
        CompositionContract contract, DependencyAccessor descriptorAccessor)
    {
        if (contract.ContractType != typeof(IPasidTableFormat)
            || contract.ContractName is not { } name
            || contract.MetadataConstraints?.Any() == true
            || importer.Manifest.TableFormats.Contains(name)
            || find(importer, name) is not { } format)
        {
            return NoExportDescriptors;
        }

        Dictionary<string, object> metadata = new() { [nameof(PasidTableFormatAttribute.Name)] = name };
        return
        [
            new ExportDescriptorPromise(
                contract,
                $"table format '{name}' of another plug-in",
                isShared: true,
                NoDependencies,
                _ => ExportDescriptor.Create((_, _) => format, metadata)),
        ];
    }
}
