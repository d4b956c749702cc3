// SPDX-License-Identifier: Apache-2.0
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using PasidFramework.Engine;
using PasidFramework.Hosting.Plugins;

namespace PasidFramework.Hosting.Options;

/// <summary>Registers the framework with a container of services.</summary>
public static class PasidServices
{
    /// <summary>
    /// Registers <see cref="PasidOptions"/>, bound to section <c>Pasid</c> and validated at start, and
    /// <see cref="IommuCore"/>. The core takes the allocators of a registered <see cref="PluginCatalog"/>, a registered
    /// <see cref="ICoreObserver"/> and a registered <see cref="TimeProvider"/> where there are such.
    /// </summary>
    /// <param name="configuration">The whole configuration, such as <see cref="PasidConfiguration.Build"/> makes
    /// it.</param>
    /// <remarks>
    /// <see cref="PasidOptionsValidator"/> and every other registered validator are asked. A wrong key or value is
    /// reported like a wrong limit: by <see cref="OptionsValidationException"/> on first use and at start;
    /// <see cref="GetPasidOptions"/> returns it as a result instead.
    /// </remarks>
    public static IServiceCollection AddPasidFramework(this IServiceCollection services, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        services.AddOptions<PasidOptions>()
            .Configure(options => _ = PasidConfiguration.BindTo(configuration, options))
            .ValidateOnStart();
        services.AddSingleton<IValidateOptions<PasidOptions>>(new BindingValidator(configuration));
        services.AddSingleton<IValidateOptions<PasidOptions>>(
            provider => new PasidOptionsValidator(provider.GetService<PluginCatalog>()?.Allocators.Keys));
        services.TryAddSingleton(provider => new IommuCore(
            provider.GetRequiredService<IOptions<PasidOptions>>(),
            provider.GetService<PluginCatalog>()?.Allocators,
            provider.GetService<ICoreObserver>(),
            provider.GetService<TimeProvider>()));
        return services;
    }

    /// <summary>Binds and validates now, as at start.</summary>
    /// <param name="provider">A container to which <see cref="AddPasidFramework"/> was applied.</param>
    /// <returns>The valid options; EINVAL with one line that names every fault, separated by semicolons.</returns>
    public static OpResult<PasidOptions> GetPasidOptions(this IServiceProvider provider)
    {
        ArgumentNullException.ThrowIfNull(provider);
        try
        {
            return OpResult<PasidOptions>.Ok(provider.GetRequiredService<IOptions<PasidOptions>>().Value);
        }
        catch (OptionsValidationException exception)
        {
            return OpResult<PasidOptions>.Refuse(
                Errno.EINVAL, string.Join("; ", exception.Failures.Select(AssemblyHeader.OneLine)));
        }
    }

    private sealed class BindingValidator(IConfiguration configuration) : IValidateOptions<PasidOptions>
    {
        public ValidateOptionsResult Validate(string? name, PasidOptions options)
        {
            OpResult<PasidOptions> bound = PasidConfiguration.Bind(configuration);
            return bound.IsOk ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(bound.Reason!);
        }
    }
}
