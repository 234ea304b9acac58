"""What trains trials: data, models, PEFT methods, engines, cost measurement and the Ray actors that run them."""
